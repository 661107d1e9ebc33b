package org.dolly4j.engine;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Counts durations for a {@link LatencyHistogram}. One thread records and any may read; what a reader gets is of one
 * moment only if it makes sure that nothing was recorded meanwhile.
 */
final class LatencyRecorder {
    private static final int SUM = LatencyHistogram.BUCKETS;
    private static final int MAX = SUM + 1;

    private final AtomicLongArray values = new AtomicLongArray(MAX + 1);

    /** Counts a duration; one below 0 counts as 0. */
    void record(long nanos) {
        long duration = Math.max(0, nanos);
        add(LatencyHistogram.bucketOf(duration), 1);
        add(SUM, duration);
        if (duration > values.getPlain(MAX)) {
            values.setOpaque(MAX, duration);
        }
    }

    private void add(int index, long more) {
        values.setOpaque(index, values.getPlain(index) + more);
    }

    LatencyHistogram snapshot() {
        long[] counts = new long[LatencyHistogram.BUCKETS];
        for (int i = 0; i < counts.length; i++) {
            counts[i] = values.getOpaque(i);
        }
        return new LatencyHistogram(counts, values.getOpaque(SUM), values.getOpaque(MAX));
    }
}
