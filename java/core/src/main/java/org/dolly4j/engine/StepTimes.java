package org.dolly4j.engine;

import java.util.Arrays;

/**
 * How long steps take, by their rows, as far as it was seen: to tell how many rows end within some time. Sizes are told
 * apart by powers of two; within one, time grows with the rows. A size not seen yet is taken to cost as much per row as the
 * next smaller one seen, which is too much, or if there is none as the next larger one.
 */
final class StepTimes {
    /** Weight of the newest step: the mean follows what changes, such as contexts and other load, within some steps. */
    private static final double NEWEST = 0.25;

    private final double[] nanosPerRow;

    /** @param maxRows most rows of a step */
    StepTimes(int maxRows) {
        nanosPerRow = new double[size(maxRows) + 1];
        Arrays.fill(nanosPerRow, Double.NaN);
    }

    /** 0 for 1 row, 1 for 2, 2 for 3 and 4, 3 for 5 to 8. */
    private static int size(int rows) {
        return 32 - Integer.numberOfLeadingZeros(rows - 1);
    }

    /** Takes note of a step. */
    void add(int rows, long nanos) {
        int size = size(rows);
        double perRow = (double) nanos / rows;
        nanosPerRow[size] =
                Double.isNaN(nanosPerRow[size]) ? perRow : nanosPerRow[size] + NEWEST * (perRow - nanosPerRow[size]);
    }

    /** Nanoseconds that a step is expected to take, or NaN if none was seen. */
    private double expected(int rows) {
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
        return rows;
    }
}
