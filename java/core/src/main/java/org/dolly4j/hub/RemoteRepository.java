package org.dolly4j.hub;

import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Set;
import org.dolly4j.HubException;

/** A repository as the hub describes it. */
final class RemoteRepository {
    private final HubClient client;
    private final HubOptions options;
    private final HubRepository repository;

    RemoteRepository(HubClient client, HubOptions options, HubRepository repository) {
        this.client = client;
        this.options = options;
        this.repository = repository;
    }

    /** Where a file of a commit is. */
    URI address(String commit, String name) {
        return client.address("/" + repository.id() + "/resolve/" + commit + "/" + name);
    }

    /**
     * Asks for the commit of the revision, and its files.
     *
     * @throws TransferException if the hub cannot be reached
     * @throws HubException if it refuses
     * @throws UnavailableException if something else answers in its place
     */
    RepositoryListing list(Retries retries) throws TransferException, InterruptedException {
        return retries.until(this::list);
    }

    private RepositoryListing list() throws TransferException, InterruptedException {
        String revision = URLEncoder.encode(repository.revision(), StandardCharsets.UTF_8);
        URI address = client.address("/api/models/" + repository.id() + "/revision/" + revision);
        try (HubClient.Answer answer = client.get(address, "the list of files", Optional.empty())) {
            byte[] text = answer.body()
                    .readAll(RepositoryListing.MAX_BYTES)
                    .orElseThrow(() -> new UnavailableException("The list of files of " + repository.id()
                            + " has more than " + RepositoryListing.MAX_BYTES
                            + " bytes, which is more than any model needs."));
            RepositoryListing listing =
                    RepositoryListing.parse(text, options.endpoint().toString());
            if (HubRepository.isCommit(repository.revision())
                    && !listing.commit().equals(repository.revision())) {
                throw new UnavailableException(options.endpoint() + " answers with the commit " + listing.commit()
                        + " where " + repository.revision() + " was asked for. If that is not the Hugging Face hub,"
                        + " correct HF_ENDPOINT.");
            }
            return listing;
        }
    }

    /**
     * Asks for what the hub says about a file of a commit.
     *
     * @throws TransferException as {@link #list}
     */
    RemoteFile describe(String commit, String name) throws TransferException, InterruptedException {
        URI address = address(commit, name);
        return new Retries(Retries.MOST, options.firstWait()).until(() -> {
            try (HubClient.Answer answer = client.head(address, name)) {
                return RemoteFile.of(name, commit, answer, options);
            }
        });
    }

    /**
     * Makes sure that there are the shards that an index names.
     *
     * @throws HubException if one is missing
     */
    void requireShards(Set<String> shards, RepositoryListing listing, String index) {
        for (String shard : shards) {
            if (!listing.files().contains(shard)) {
                throw new HubException("The model " + repository.id() + " at revision '" + repository.revision()
                        + "' has no " + shard + ", which its " + index + " names. Choose another revision, or tell the"
                        + " owner of the repository.");
            }
        }
    }
}
