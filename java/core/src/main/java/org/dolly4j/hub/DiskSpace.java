package org.dolly4j.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Finds out that a disk is too small before gigabytes have come. */
final class DiskSpace {
    private DiskSpace() {}

    /**
     * Compares what files will take with what is free.
     *
     * @throws UnavailableException if it is too little
     */
    static void require(CachedRepository cached, List<RemoteFile> files) {
        long needed = 0;
        for (RemoteFile file : files) {
            Path blob = cached.blob(file.etag());
            try {
                needed = Math.addExact(needed, file.size() - PartialBlob.left(blob, file.size()));
            } catch (ArithmeticException e) {
                needed = Long.MAX_VALUE;
            } catch (IOException e) {
                throw CachedRepository.unusable(blob, e);
            }
        }
        long free = free(cached.cache());
        if (needed > free) {
            throw new UnavailableException(String.format(
                    Locale.ROOT,
                    "%s needs %,d MB more, but the disk of %s has %,d MB free. Make room, or choose a folder on another"
                            + " disk by HF_HUB_CACHE.",
                    cached.repository().id(),
                    needed / 1_000_000,
                    cached.cache(),
                    free / 1_000_000));
        }
    }

    private static long free(Path folder) {
        Path there = folder;
        while (!Files.exists(there) && there.getParent() != null) {
            there = there.getParent();
        }
        try {
            return Files.getFileStore(there).getUsableSpace();
        } catch (IOException e) {
            throw CachedRepository.unusable(there, e);
        }
    }
}
