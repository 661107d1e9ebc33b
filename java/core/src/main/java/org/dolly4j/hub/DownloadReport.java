package org.dolly4j.hub;

import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dolly4j.hub.DownloadProgress.Phase;

/** Tells how far a download is, a few times a second; by the thread that asked for it alone. */
final class DownloadReport {
    private static final long INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    private final Consumer<? super DownloadProgress> listener;
    private final long totalBytes;
    private long doneBytes;
    private long lastTime = System.nanoTime() - INTERVAL_NANOS;

    /** @param totalBytes of all files */
    DownloadReport(Consumer<? super DownloadProgress> listener, long totalBytes) {
        this.listener = listener;
        this.totalBytes = totalBytes;
    }

    /** A file is on its way, or is checked. */
    void step(RemoteFile file, Phase phase, long fileBytes) {
        long now = System.nanoTime();
        if (now - lastTime >= INTERVAL_NANOS) {
            lastTime = now;
            tell(file, phase, fileBytes, doneBytes + (phase == Phase.CHECKING ? file.size() : fileBytes));
        }
    }

    /** A file is in the cache. */
    void done(RemoteFile file) {
        doneBytes += file.size();
        tell(file, Phase.DONE, file.size(), doneBytes);
    }

    private void tell(RemoteFile file, Phase phase, long fileBytes, long bytes) {
        listener.accept(new DownloadProgress(file.name(), phase, fileBytes, file.size(), bytes, totalBytes));
    }
}
