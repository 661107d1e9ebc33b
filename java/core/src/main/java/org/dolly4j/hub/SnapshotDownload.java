package org.dolly4j.hub;

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.dolly4j.HubException;
import org.dolly4j.hub.ModelFiles.Selection;

/** Brings what the cache lacks of a repository: asks for its commit and files, then for each file. */
final class SnapshotDownload {
    private final HubOptions options;
    private final CachedRepository cached;
    private final HubRepository repository;
    private final Selection selection;
    private final HubClient client;
    private final RemoteRepository remote;

    /** What is in the cache now, by name. */
    private final Map<String, RemoteFile> brought = new LinkedHashMap<>();

    SnapshotDownload(HubOptions options, CachedRepository cached, Selection selection) {
        this.options = options;
        this.cached = cached;
        this.selection = selection;
        repository = cached.repository();
        client = new HubClient(options, repository);
        remote = new RemoteRepository(client, options, repository);
    }

    /**
     * Brings them.
     *
     * @param usable the commit in the cache that will be used if it fails, so that nobody need wait for retries; if it
     *     is the one that the hub lists, its weights are not brought in another form
     * @return the folder of the snapshot
     * @throws TransferException if the hub cannot be reached
     * @throws HubException if it refuses, or what it has is no model
     * @throws UnavailableException if something else answers in its place, or the cache cannot be written
     */
    Path run(Optional<String> usable) throws TransferException, InterruptedException {
        Retries retries = new Retries(usable.isPresent() ? 0 : Retries.MOST, options.firstWait());
        RepositoryListing listing = remote.list(retries);
        String commit = listing.commit();
        Set<String> files = usable.equals(Optional.of(commit)) ? withPresentWeights(listing) : listing.files();
        Set<String> names = new LinkedHashSet<>(ModelFiles.needed(files, selection, repository));
        if (selection == Selection.MODEL) {
            Optional<String> index = ModelFiles.index(files);
            if (index.isPresent()) {
                names.addAll(shards(listing, index.get()));
            }
        }
        bring(commit, names);
        // Linked when all are here, weights and config.json last: a snapshot that has these is complete.
        Optional<RemoteFile> config = Optional.ofNullable(brought.remove(ModelFiles.CONFIG));
        brought.values().forEach(file -> cached.link(commit, file.name(), file.etag()));
        config.ifPresent(file -> cached.link(commit, file.name(), file.etag()));
        cached.writeRef(commit);
        return cached.snapshot(commit);
    }

    /** The files listed, but of weights only those that are in the cache, if some are. */
    private Set<String> withPresentWeights(RepositoryListing listing) {
        Set<String> present = cached.present(listing.commit());
        if (!ModelFiles.hasWeights(present)) {
            return listing.files();
        }
        Set<String> files = ModelFiles.withoutWeights(listing.files());
        files.addAll(present);
        return files;
    }

    /** The shards that the index names, which is brought for it. */
    private Set<String> shards(RepositoryListing listing, String index) throws TransferException, InterruptedException {
        bring(listing.commit(), Set.of(index));
        RemoteFile described = brought.get(index);
        Path file = described == null ? cached.file(listing.commit(), index) : cached.blob(described.etag());
        Set<String> shards = ModelFiles.shards(file, index);
        remote.requireShards(shards, listing, index);
        return shards;
    }

    /** Makes files blobs, those that are not in the snapshot already. */
    private void bring(String commit, Set<String> names) throws TransferException, InterruptedException {
        Map<RemoteFile, URI> files = new LinkedHashMap<>();
        for (String name : names) {
            if (!brought.containsKey(name) && !Files.exists(cached.file(commit, name))) {
                files.put(remote.describe(commit, name), remote.address(commit, name));
            }
        }
        List<RemoteFile> absent = new ArrayList<>(files.keySet());
        absent.removeIf(file -> BlobDownload.isPresent(cached.blob(file.etag()), file));
        DiskSpace.require(cached, absent);
        DownloadReport report = new DownloadReport(
                options.progress(), absent.stream().mapToLong(RemoteFile::size).sum());
        for (RemoteFile file : absent) {
            new BlobDownload(client, options, cached, files.get(file), file, report).run();
        }
        files.keySet().forEach(file -> brought.put(file.name(), file));
    }
}
