package org.dolly4j.hub;

/**
 * How far a download is. Files that were in the cache before count nowhere; what an earlier, broken-off download left
 * of a file counts as done.
 *
 * @param file the file that is being downloaded
 * @param phase what is being done with it
 * @param fileBytes bytes of it that are done: here, or checked
 * @param fileSize all its bytes
 * @param bytes bytes of all files that are here
 * @param totalBytes all their bytes
 */
public record DownloadProgress(String file, Phase phase, long fileBytes, long fileSize, long bytes, long totalBytes) {
    /** What is being done with a file. */
    public enum Phase {
        /** Another process or thread is downloading it. */
        WAITING,
        /** Its bytes are coming. */
        DOWNLOADING,
        /** All are here, and are compared with the hash that the hub states. */
        CHECKING,
        /** It is in the cache. */
        DONE
    }
}
