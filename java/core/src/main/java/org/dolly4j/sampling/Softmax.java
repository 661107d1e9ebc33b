package org.dolly4j.sampling;

/**
 * Sums over the weights exp(score - max) of a softmax, a block of {@value Exponential#BLOCK} scores at a time, whose
 * weights stay in the first-level cache and are computed again where they are wanted again.
 *
 * <p>Sums are float64 in a fixed order: within a block the sums of every eighth weight in ascending order (what is left
 * over at the end joins the first), added in pairs three times; then the blocks in ascending order. A draw adds up the
 * weights of the block it falls into one by one.
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
            int length = weigh(scores, start, count, max);
            double blockSum = sumOf(weights, length);
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
            int length = weigh(scores, start, count, max);
            sum += sumOf(weights, length);
            for (int i = 0; i < length; i++) {
                weights[i] *= below[i];
            }
            moment += sumOf(weights, length);
        }
        expSum = sum;
        meanBelowMax = moment / sum;
    }

    /** Writes exp(score - max) for each score, and returns their sum; the parameters are those of {@link #sum}. */
    double weights(float[] scores, int count, float max, double[] result) {
        double sum = 0;
        for (int start = 0; start < count; start += Exponential.BLOCK) {
            int length = weigh(scores, start, count, max);
            System.arraycopy(weights, 0, result, start, length);
            sum += sumOf(weights, length);
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
        int length = weigh(scores, start, count, max);
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

    /** Fills (max - score), up to {@link Exponential#GREATEST}, and the weights, of one block; returns its length. */
    private int weigh(float[] scores, int start, int count, double max) {
        int length = Math.min(count - start, Exponential.BLOCK);
        for (int i = 0; i < length; i++) {
            double difference = max - scores[start + i];
            // Not Math.min, which is slower: hardly ever taken.
            below[i] = difference < Exponential.GREATEST ? difference : Exponential.GREATEST;
        }
        exponential.expOfNegated(below, weights, length);
        return length;
    }

    /** Eight sums in turn, since one alone would wait for each addition. */
    private static double sumOf(double[] values, int count) {
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
            sum0 += values[i];
            sum1 += values[i + 1];
            sum2 += values[i + 2];
            sum3 += values[i + 3];
            sum4 += values[i + 4];
            sum5 += values[i + 5];
            sum6 += values[i + 6];
            sum7 += values[i + 7];
        }
        for (; i < count; i++) {
            sum0 += values[i];
        }
        return ((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7));
    }
}
