package org.dolly4j.sampling;

/**
 * Sums over the weights exp(score - max) of a softmax, a block of {@value Exponential#BLOCK} scores at a time, whose
 * weights stay in the first-level cache and are computed again where they are wanted again.
 *
 * <p>Sums are float64 in a fixed order: within a block that of {@link Exponential#expOfNegated}, then the blocks in
 * ascending order. A draw adds up the weights of the block it falls into one by one.
 *
 * <p>Holds its work space and the last result; not thread-safe.
 */
final class Softmax {
    private final Exponential exponential = new Exponential();
    private final double[] below = new double[Exponential.BLOCK];
    private final double[] weights = new double[Exponential.BLOCK];
    private final double[] blockSums;
    private double expSum;
    private double meanBelowMax;

    /** @param capacity greatest number of scores */
    Softmax(int capacity) {
        blockSums = new double[(capacity + Exponential.BLOCK - 1) / Exponential.BLOCK];
    }

    /**
     * Computes {@link #expSum}.
     *
     * @param scores negative infinity counts as impossible
     * @param count how many count
     * @param max the greatest of them, finite
     */
    void sum(float[] scores, int count, float max) {
        double sum = 0;
        for (int start = 0; start < count; start += Exponential.BLOCK) {
            double blockSum = weigh(scores, start, count, max);
            blockSums[start / Exponential.BLOCK] = blockSum;
            sum += blockSum;
        }
        expSum = sum;
    }

    /** Computes {@link #expSum} and {@link #meanBelowMax}; the parameters are those of {@link #sum}. */
    void sumWithMean(float[] scores, int count, float max) {
        double sum = 0;
        double moment = 0;
        for (int start = 0; start < count; start += Exponential.BLOCK) {
            sum += weigh(scores, start, count, max);
            moment += moment(Math.min(count - start, Exponential.BLOCK));
        }
        expSum = sum;
        meanBelowMax = moment / sum;
    }

    /** Writes exp(score - max) for each score, and returns their sum; the parameters are those of {@link #sum}. */
    double weights(float[] scores, int count, float max, double[] result) {
        double sum = 0;
        for (int start = 0; start < count; start += Exponential.BLOCK) {
            sum += weigh(scores, start, count, max);
            System.arraycopy(weights, 0, result, start, Math.min(count - start, Exponential.BLOCK));
        }
        return sum;
    }

    /**
     * Draws by inversion of the distribution function; the first parameters are those of {@link #sum}.
     *
     * @param uniform in [0, 1)
     * @return index of a score that is not negative infinity
     */
    int draw(float[] scores, int count, float max, double uniform) {
        sum(scores, count, max);
        double target = uniform * expSum;
        int block = 0;
        double sum = 0;
        while (sum + blockSums[block] <= target) {
            sum += blockSums[block];
            block++;
        }
        int start = block * Exponential.BLOCK;
        weigh(scores, start, count, max);
        int length = Math.min(count - start, Exponential.BLOCK);
        int drawn = 0;
        for (int i = 0; i < length && sum <= target; i++) {
            if (weights[i] > 0) {
                sum += weights[i];
                drawn = i;
            }
        }
        return start + drawn;
    }

    /** Sum of exp(score - max) at the last {@link #sum} or {@link #sumWithMean}. */
    double expSum() {
        return expSum;
    }

    /**
     * Mean of (max - score) weighted by probability at the last {@link #sumWithMean}. The entropy is this and the
     * logarithm of {@link #expSum}.
     */
    double meanBelowMax() {
        return meanBelowMax;
    }

    /** Fills (max - score), up to {@link Exponential#GREATEST}, and the weights, of one block; returns their sum. */
    private double weigh(float[] scores, int start, int count, double max) {
        int length = Math.min(count - start, Exponential.BLOCK);
        for (int i = 0; i < length; i++) {
            double difference = max - scores[start + i];
            // Not Math.min, which is slower: hardly ever taken.
            below[i] = difference < Exponential.GREATEST ? difference : Exponential.GREATEST;
        }
        return exponential.expOfNegated(below, weights, length);
    }

    /** Sum of weight * (max - score) of the block that was weighed last, in two sums. */
    private double moment(int length) {
        double moment0 = 0;
        double moment1 = 0;
        int i = 0;
        for (; i + 1 < length; i += 2) {
            moment0 += weights[i] * below[i];
            moment1 += weights[i + 1] * below[i + 1];
        }
        if (i < length) {
            moment0 += weights[i] * below[i];
        }
        return moment0 + moment1;
    }
}
