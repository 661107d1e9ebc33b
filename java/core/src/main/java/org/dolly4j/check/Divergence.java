package org.dolly4j.check;

/**
 * How far distributions of the next token are from exact ones: over rows of logits, the Kullback-Leibler divergence of
 * their softmax from the softmax of the exact ones, sum of p * (log p - log q) with p exact, in nats.
 */
public final class Divergence {
    private double sum;
    private double largest;
    private int rows;
    private int sameBest;

    /**
     * Adds rows.
     *
     * @param exact logits, row-major [rows, {@code vocabSize}]
     * @param approximate logits of the same shape
     * @throws IllegalArgumentException if the shapes differ or there is a part of a row
     */
    public void add(float[] exact, float[] approximate, int vocabSize) {
        if (exact.length != approximate.length || exact.length % vocabSize != 0) {
            throw new IllegalArgumentException("There must be as many rows of " + vocabSize + " logits of both, not "
                    + exact.length + " and " + approximate.length + " logits.");
        }
        for (int row = 0; row < exact.length; row += vocabSize) {
            double divergence = divergence(exact, approximate, row, vocabSize);
            sum += divergence;
            largest = Math.max(largest, divergence);
            rows++;
            if (best(exact, row, vocabSize) == best(approximate, row, vocabSize)) {
                sameBest++;
            }
        }
    }

    /** Divergence on average over the rows; NaN if a logit is, or if there is no row. */
    public double mean() {
        return sum / rows;
    }

    /** Divergence of the row where it is largest; NaN if a logit is. */
    public double largest() {
        return largest;
    }

    /** Rows added. */
    public int rows() {
        return rows;
    }

    /** Rows whose most likely token is the exact one's. */
    public int sameBest() {
        return sameBest;
    }

    private static double divergence(float[] exact, float[] approximate, int start, int length) {
        double exactTotal = logSumExp(exact, start, length);
        double approximateTotal = logSumExp(approximate, start, length);
        double divergence = 0;
        for (int i = start; i < start + length; i++) {
            double logP = exact[i] - exactTotal;
            divergence += Math.exp(logP) * (logP - (approximate[i] - approximateTotal));
        }
        return divergence;
    }

    private static double logSumExp(float[] values, int start, int length) {
        double max = Double.NEGATIVE_INFINITY;
        for (int i = start; i < start + length; i++) {
            max = Math.max(max, values[i]);
        }
        double total = 0;
        for (int i = start; i < start + length; i++) {
            total += Math.exp(values[i] - max);
        }
        return max + Math.log(total);
    }

    private static int best(float[] values, int start, int length) {
        int best = start;
        for (int i = start + 1; i < start + length; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }
}
