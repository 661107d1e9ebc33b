package org.dolly4j;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What this process holds of the machine's memory beside the Java heap. */
final class NativeMemory {
    /** Java puts a heap of less than 32 GB below this address, and nothing else, to have short pointers to it. */
    private static final long HEAP_END = 32L << 30;

    private NativeMemory() {}

    /** After collections, which give memory back to the system a little later. */
    static long bytes() throws IOException, InterruptedException {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 3; i++) {
            System.gc();
            Thread.sleep(50);
            least = Math.min(least, residentBytes());
        }
        return least;
    }

    private static long residentBytes() throws IOException {
        long kilobytes = 0;
        boolean isHeap = false;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
            if (line.matches("[0-9a-f]+-.*")) {
                isHeap = Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16) < HEAP_END;
            } else if (!isHeap && line.startsWith("Rss:")) {
                kilobytes += Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return kilobytes << 10;
    }
}
