package org.dolly4j.sampling;

/**
 * The exponential function for softmax weights.
 *
 * <p>Method: exp(x) = exp(x / 2^10)^(2^10), the inner one by its series, the outer power by squaring. These are
 * additions and multiplications over arrays, which the JIT compiler turns into vector instructions, several times as
 * fast as {@link Math#exp}; and they give the same bits on every machine and JVM, as a seed must give the same text.
 */
final class Exponential {
    /** Below it the result is 0. A softmax weight of exp(-64) = 2e-28 is lost in the rounding of any sum. */
    static final double LEAST = -64;

    private static final double SCALE = 0x1p-10;
    private static final double AT_LEAST = power(LEAST);

    private Exponential() {}

    /**
     * Computes y[i] = exp(x[i]) with a relative error below 1e-10 from -20 on and an absolute one below 1e-18 before.
     *
     * @param x each 0 or less, or negative infinity; those below {@link #LEAST} are raised to it
     * @param y receives the results
     * @param count how many of both
     */
    static void exp(double[] x, double[] y, int count) {
        for (int i = 0; i < count; i++) {
            double clamped = Math.max(x[i], LEAST);
            x[i] = clamped;
            y[i] = power(clamped) - AT_LEAST;
        }
    }

    private static double power(double x) {
        double z = x * SCALE;
        double square = z * z;
        double power = (1 + z) + square * ((0.5 + z * (1 / 6.0)) + square * (1 / 24.0 + z * (1 / 120.0)));
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        power *= power;
        return power;
    }
}
