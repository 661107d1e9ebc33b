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
     */
    void expOfNegated(double[] x, double[] y, int count) {
        for (int i = 0; i < count; i++) {
            double steps = x[i] * STEPS_PER_UNIT;
            double sum = steps + ROUNDER;
            double r = steps - (sum - ROUNDER);
            rounded[i] = sum;
            y[i] = (1 + r * C1) + (r * r) * (C2 + r * C3 + (r * r) * C4);
        }
        for (int i = 0; i < count; i++) {
            int k = (int) Double.doubleToRawLongBits(rounded[i]) & (POWERS.length - 1);
            y[i] *= POWERS[k];
        }
    }
}
