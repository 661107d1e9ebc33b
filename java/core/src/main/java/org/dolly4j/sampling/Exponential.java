package org.dolly4j.sampling;

/**
 * The exponential function for softmax weights, of a block of numbers at a time.
 *
 * <p>Method: -x = -(k + r) * ln(2) / 32 with an integer k and |r| of at most 1/2, so exp(-x) is the k-th of a table
 * times a short series in r. All but the look-up are additions and multiplications over arrays, which the JIT compiler
 * turns into vector instructions; the rounding to k is the addition of a number so great that its last bit counts
 * whole steps, since conversions to integers would not be. The result has the same bits on every machine and JVM, as a
 * seed must give the same text.
 *
 * <p>Holds its work space; not thread-safe.
 */
final class Exponential {
    /** Greatest length of a block: its arrays stay in the first-level cache beside the table. */
    static final int BLOCK = 512;

    /** From it on the result is 0. A softmax weight of exp(-64) = 2e-28 is lost in the rounding of any sum. */
    static final double GREATEST = 64;

    private static final int STEPS_PER_OCTAVE = 32;
    private static final double STEP = StrictMath.log(2) / STEPS_PER_OCTAVE;
    private static final double STEPS_PER_UNIT = 1 / STEP;

    /** Half of the least float64 whose last bit is worth 1, and that number, so that sums with it stay there. */
    private static final double ROUNDER = 0x1.8p52;

    // A power of two, so that an index made by masking needs no check; more than GREATEST has steps.
    private static final double[] POWERS = new double[4096];

    private static final int LAST_POWER = POWERS.length - 1;

    static {
        for (int k = 0; k * STEP < GREATEST - STEP; k++) {
            POWERS[k] = StrictMath.exp(-k * STEP);
        }
    }

    private static final double C1 = -STEP;
    private static final double C2 = STEP * STEP / 2;
    private static final double C3 = -STEP * STEP * STEP / 6;
    private static final double C4 = STEP * STEP * STEP * STEP / 24;

    private final double[] rounded = new double[BLOCK];

    /**
     * Computes y[i] = exp(-x[i]) with a relative error below 2e-12, but 0 less than 0.04 below {@link #GREATEST}.
     *
     * @param x each from 0 to {@link #GREATEST}
     * @param y receives the results
     * @param count how many of both, at most {@link #BLOCK}
     * @return sum of the results: the sums of every eighth one in ascending order (what is left over at the end joins
     *     the first), added in pairs three times
     */
    double expOfNegated(double[] x, double[] y, int count) {
        // With its 500 bytecodes this method is too long for HotSpot to inline, and must stay so: inlined, its
        // constants
        // leave the caller's loop one register, in which each conversion from float waits for the one before (cvtss2sd
        // keeps the upper half), and that loop takes three times as long.
        for (int j = 0; j < count; j++) {
            double steps = x[j] * STEPS_PER_UNIT;
            double sum = steps + ROUNDER;
            double r = steps - (sum - ROUNDER);
            rounded[j] = sum;
            y[j] = (1 + r * C1) + (r * r) * (C2 + r * C3 + (r * r) * C4);
        }
        double sum0 = 0;
        double sum1 = 0;
        double sum2 = 0;
        double sum3 = 0;
        double sum4 = 0;
        double sum5 = 0;
        double sum6 = 0;
        double sum7 = 0;
        int i = 0;
        for (; i + 7 < count; i += 8) {
            y[i] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i]) & LAST_POWER];
            sum0 += y[i];
            y[i + 1] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 1]) & LAST_POWER];
            sum1 += y[i + 1];
            y[i + 2] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 2]) & LAST_POWER];
            sum2 += y[i + 2];
            y[i + 3] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 3]) & LAST_POWER];
            sum3 += y[i + 3];
            y[i + 4] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 4]) & LAST_POWER];
            sum4 += y[i + 4];
            y[i + 5] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 5]) & LAST_POWER];
            sum5 += y[i + 5];
            y[i + 6] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 6]) & LAST_POWER];
            sum6 += y[i + 6];
            y[i + 7] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i + 7]) & LAST_POWER];
            sum7 += y[i + 7];
        }
        for (; i < count; i++) {
            y[i] *= POWERS[(int) Double.doubleToRawLongBits(rounded[i]) & LAST_POWER];
            sum0 += y[i];
        }
        return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7));
    }
}
