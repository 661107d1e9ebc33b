package org.dolly4j.hub;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A file as the hub describes it.
 *
 * @param name its name in the repository
 * @param etag what its bytes are known by: their SHA-256, or git's hash of a blob; names the blob in the cache
 * @param size its bytes
 */
record RemoteFile(String name, String etag, long size) {
    /** It becomes the name of a file; without a point, so never that of one which lies beside a blob. */
    private static final Pattern PLAIN_ETAG = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_-]{0,199}");

    private static final Pattern SIZE = Pattern.compile("[0-9]{1,18}");

    /**
     * Reads what was answered to HEAD, as huggingface_hub does.
     *
     * @param commit the commit that was asked for
     * @throws UnavailableException if that is not what the hub answers
     */
    static RemoteFile of(String name, String commit, HubClient.Answer answer, HubOptions options) {
        Optional<String> found = answer.hubHeader("X-Repo-Commit");
        if (!found.equals(Optional.of(commit))) {
            throw notTheHub(name, options, found.isEmpty() ? "does not say of which commit" : "is of another commit");
        }
        String etag = answer.hubHeader("X-Linked-Etag")
                .or(() -> answer.headers().firstValue("ETag"))
                .map(value -> value.replaceFirst("^W/", "").replace("\"", ""))
                .orElse("");
        if (!PLAIN_ETAG.matcher(etag).matches()) {
            throw notTheHub(name, options, "has no usable ETag");
        }
        String size = answer.hubHeader("X-Linked-Size")
                .or(() -> answer.status() == 200 ? answer.headers().firstValue("Content-Length") : Optional.empty())
                .orElse("");
        if (!SIZE.matcher(size).matches()) {
            throw notTheHub(name, options, "does not say how many bytes there are");
        }
        return new RemoteFile(name, etag, Long.parseLong(size));
    }

    /**
     * Compares an answer with all its bytes.
     *
     * @throws TransferException if it has another number of them
     */
    void requireSize(HubClient.Answer answer) throws TransferException {
        long found = answer.headers().firstValueAsLong("Content-Length").orElse(size);
        if (answer.status() != 200 || found != size) {
            throw new TransferException("the server sends " + found + " bytes of " + name + " (status "
                    + answer.status() + ") where the hub states " + size);
        }
    }

    private static UnavailableException notTheHub(String name, HubOptions options, String problem) {
        return new UnavailableException("What " + options.endpoint() + " answers about " + name + " " + problem
                + ". If that is not the Hugging Face hub, correct HF_ENDPOINT; a proxy must let its headers through.");
    }
}
