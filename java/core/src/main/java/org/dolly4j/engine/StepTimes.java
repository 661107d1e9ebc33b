package org.dolly4j.engine;

import java.util.Arrays;

/**
 * How long steps take, by their rows, as far as it was seen: to tell how many rows end within some time, and what a few
 * more rows cost. Small sizes are told apart one by one, since kernels differ there, larger ones by powers of two;
 * within one of these, time grows with the rows. A size not seen yet is taken to cost as much per row as the next
 * smaller one seen, which is too much, or if there is none as the next larger one. Of the small
 * sizes none costs more than a larger one.
 */
final class StepTimes {
    /** Sizes up to this one are told apart one by one. */
    private static final int LARGEST_SINGLE = 16;

    /** Steps of a size that have to be seen, lest the first one was held up by something else. */
    private static final int ENOUGH_SAMPLES = 3;

    /** Weight of the newest step: the mean follows what changes, such as contexts and other load, within some steps. */
    private static final double NEWEST = 0.25;

    /**
     * Steps, per share of a step's time that trying a size would cost, for which a time that was seen is believed to be
     * too long to try it again: so that at most a hundredth of the time goes into finding out, were there ten such
     * sizes.
     */
    private static final double STEPS_BELIEVED = 1000;

    private final double[] nanosPerRow;

    /** Of the last two steps of each size: a step that was held up by something else does not count by itself. */
    private final double[] last;

    private final double[] beforeLast;
    private final int[] samples;
    private final long[] seenAt;
    private long steps;

    /** @param maxRows most rows of a step */
    StepTimes(int maxRows) {
        nanosPerRow = new double[size(maxRows) + 1];
        Arrays.fill(nanosPerRow, Double.NaN);
        last = new double[nanosPerRow.length];
        beforeLast = new double[nanosPerRow.length];
        samples = new int[nanosPerRow.length];
        seenAt = new long[nanosPerRow.length];
    }

    /** 0 for 1 row, 15 for 16, 16 for 17 to 32, 17 for 33 to 64. */
    private static int size(int rows) {
        return rows <= LARGEST_SINGLE
                ? rows - 1
                : LARGEST_SINGLE
                        + Integer.numberOfLeadingZeros(LARGEST_SINGLE)
                        - Integer.numberOfLeadingZeros(rows - 1);
    }

    /** Takes note of a step. */
    void add(int rows, long nanos) {
        int size = size(rows);
        double perRow = (double) nanos / rows;
        if (steps - seenAt[size] > STEPS_BELIEVED) {
            samples[size] = 0;
        }
        if (samples[size] == 0) {
            nanosPerRow[size] = perRow;
            last[size] = perRow;
        } else if (samples[size] == 1) {
            nanosPerRow[size] = Math.min(perRow, last[size]);
        } else {
            double median =
                    Math.max(Math.min(perRow, last[size]), Math.min(Math.max(perRow, last[size]), beforeLast[size]));
            double newest = samples[size] == 2 ? 1 : NEWEST;
            nanosPerRow[size] += newest * (median - nanosPerRow[size]);
        }
        beforeLast[size] = last[size];
        last[size] = perRow;
        samples[size] = Math.min(samples[size] + 1, ENOUGH_SAMPLES);
        seenAt[size] = ++steps;
    }

    /** Whether no step was seen. */
    boolean isEmpty() {
        return steps == 0;
    }

    /**
     * Nanoseconds that a step takes at least: where its size was not seen, as long as one of the next smaller size seen,
     * 0 if there is none.
     */
    long leastNanos(int rows) {
        int seen = size(rows);
        while (seen >= 0 && Double.isNaN(nanosPerRow[seen])) {
            seen--;
        }
        return seen < 0 ? 0 : (long) (nanosPerRow[seen] * Math.min(rows, mostRows(seen)));
    }

    /** Most rows of a size. */
    private static int mostRows(int size) {
        return size < LARGEST_SINGLE ? size + 1 : LARGEST_SINGLE << (size - LARGEST_SINGLE + 1);
    }

    /** Nanoseconds that a step is expected to take, or NaN if none was seen. */
    private double expected(int rows) {
        double most = byRow(rows);
        for (int larger = rows + 1; larger <= Math.min(LARGEST_SINGLE, nanosPerRow.length); larger++) {
            double time = nanosPerRow[size(larger)] * larger;
            if (time < most) {
                most = time;
            }
        }
        return most;
    }

    private double byRow(int rows) {
        int seen = size(rows);
        while (seen >= 0 && Double.isNaN(nanosPerRow[seen])) {
            seen--;
        }
        if (seen < 0) {
            seen = size(rows);
            while (seen < nanosPerRow.length - 1 && Double.isNaN(nanosPerRow[seen])) {
                seen++;
            }
        }
        return nanosPerRow[seen] * rows;
    }

    /** Most rows expected to end within some time, of at most {@code most}; 0 if none are, or nothing was seen. */
    int rowsWithin(long nanos, int most) {
        int rows = most;
        while (rows > 0 && !(expected(rows) <= nanos)) {
            rows--;
        }
        return rows == 0 || rows == most ? rows : Math.max(rows, retried(rows, nanos, most));
    }

    /**
     * Rows of a size that was too slow when it was last seen, if that is so long ago that it may be another by now: as
     * many as end in time if each takes as long as those of a smaller size. Without that a spell of other load would
     * keep steps small for ever.
     */
    private int retried(int rows, long nanos, int most) {
        int size = size(rows + 1);
        if (steps - seenAt[size] <= STEPS_BELIEVED) {
            return rows;
        }
        int end = rows + 1;
        while (end < most && size(end + 1) == size) {
            end++;
        }
        return (int) Math.min(end, nanos / (expected(rows) / rows));
    }

    /**
     * How much longer a step takes with more rows, as a ratio; NaN if nothing was seen at all. Where the larger size
     * was hardly seen, or so long ago that it may well be another by now, it is no more than that of fewer rows: so that
     * it is tried where that might pay. Of the small sizes only powers of two are tried for this, each once the next
     * smaller one is known: kernels take rows together by such numbers, and each trial costs time.
     */
    double ratio(int rows, int largerRows) {
        if (largerRows <= rows) {
            return 1;
        }
        int size = size(largerRows);
        double ratio = expected(largerRows) / expected(rows);
        if (Double.isNaN(ratio)) {
            return ratio;
        }
        boolean isSingle = largerRows <= LARGEST_SINGLE;
        int fewerRows = isSingle ? Integer.highestOneBit(largerRows - 1) : largerRows - 1;
        boolean isNext = !isSingle
                || (Integer.bitCount(largerRows) == 1
                        && (fewerRows <= rows || samples[size(fewerRows)] == ENOUGH_SAMPLES));
        boolean isWorthATry =
                isNext && (samples[size] < ENOUGH_SAMPLES || steps - seenAt[size] > STEPS_BELIEVED * (ratio - 1));
        return isWorthATry ? Math.min(ratio, ratio(rows, fewerRows)) : ratio;
    }
}
