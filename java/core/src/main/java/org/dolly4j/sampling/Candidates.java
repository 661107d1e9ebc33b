package org.dolly4j.sampling;

import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * The tokens that may still be chosen at a position, in ascending order of their ids, with their scores: the work space
 * of {@link Sampler}. Samplers used by one thread in turn can share one, since it holds nothing between two choices.
 * Not thread-safe.
 *
 * <p>Scores start as the logits of the whole vocabulary and may be negative infinity, which means impossible; whatever
 * removes tokens removes those too. Sums are float64 and taken in a fixed order, so results depend on the scores alone.
 */
public final class Candidates {
    // Pruning before an exact selection pays where it leaves a small part.
    private static final int PRUNE_RATIO = 8;
    private static final int SLICES_PER_RANK = 4;

    /** Pruning stays this many nats away from the exact border, so that no rounding can cross it. */
    private static final double PRUNE_MARGIN = 1e-6;

    private static final int UNKNOWN = -1;

    private final int[] vocabulary;
    private final int[] keptIds;
    private final float[] scores;
    private final RunningSumCut cut = new RunningSumCut();
    private final Softmax softmax;
    private double[] keys = new double[0];
    private double[] weights = new double[0];

    private int[] ids;
    private int count;

    /** Negative when it and the greatest score have to be looked for. */
    private int bestId;

    private float max;

    /**
     * @param vocabSize length of a logits row
     * @throws IllegalArgumentException if it is less than 1
     */
    public Candidates(int vocabSize) {
        if (vocabSize < 1) {
            throw new IllegalArgumentException("vocabSize = " + vocabSize + " must be at least 1");
        }
        vocabulary = new int[vocabSize];
        Arrays.setAll(vocabulary, id -> id);
        keptIds = new int[vocabSize];
        scores = new float[vocabSize];
        softmax = new Softmax(vocabSize);
    }

    /** Length of a logits row. */
    public int vocabSize() {
        return vocabulary.length;
    }

    /** Starts anew with the whole vocabulary and these scores, from the buffer's position on. */
    void load(FloatBuffer logits) {
        logits.get(logits.position(), scores);
        ids = vocabulary;
        count = vocabulary.length;
        bestId = UNKNOWN;
    }

    /** Scores to change in place, by token id; only until {@link #max} is asked or the first token is removed. */
    float[] vocabularyScores() {
        return scores;
    }

    /** How many are left. */
    int count() {
        return count;
    }

    /** Token id of a candidate. */
    int id(int index) {
        return ids[index];
    }

    /** Score of a candidate. */
    float score(int index) {
        return scores[index];
    }

    /** Greatest score, or NaN if one is NaN. */
    float max() {
        findBest();
        return max;
    }

    /** Token id with the greatest score, of those that tie the lowest; the first with NaN if there is one. */
    int bestId() {
        findBest();
        return bestId;
    }

    /** Computes {@link #expSum}. */
    void sumWeights() {
        softmax.sum(scores, count, max());
    }

    /** Computes {@link #expSum} and {@link #meanBelowMax}. */
    void sumWeightsWithMean() {
        softmax.sumWithMean(scores, count, max());
    }

    /** Sum of exp(score - max) when last computed. */
    double expSum() {
        return softmax.expSum();
    }

    /**
     * Mean of (max - score) weighted by probability, when last computed. The entropy is this and the logarithm of
     * {@link #expSum}.
     */
    double meanBelowMax() {
        return softmax.meanBelowMax();
    }

    /** The softmax of the scores, one probability for each candidate. */
    double[] probabilities() {
        double[] probabilities = new double[count];
        sumWeights();
        softmax.weights(scores, count, max(), probabilities);
        for (int i = 0; i < count; i++) {
            probabilities[i] /= expSum();
        }
        return probabilities;
    }

    /** Subtracts from every score. */
    void subtract(double amount) {
        for (int i = 0; i < count; i++) {
            scores[i] = (float) (scores[i] - amount);
        }
        bestId = UNKNOWN;
    }

    /** Removes candidates of a lower score. */
    void retainAtLeast(double score) {
        float least = Math.max((float) score, -Float.MAX_VALUE);
        if (least < score) {
            least = Math.nextUp(least);
        }
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (scores[i] >= least) {
                keep(i, kept++);
            }
        }
        removeFrom(kept);
    }

    /** Removes all but the {@code rank} best and those that tie with the last of them. */
    void retainBest(int rank) {
        retainAtLeast(count / PRUNE_RATIO >= rank ? lowerBoundOfRank(rank) : Double.NEGATIVE_INFINITY);
        if (count <= rank) {
            return;
        }
        reserve(count);
        fillKeysByScore();
        Arrays.fill(weights, 0, count, 1);
        cut.find(keys, weights, count, rank);
        retainAtLeast(-cut.key());
    }

    /**
     * Removes all but the fewest best that together have this share of the probability, at least one; of those that tie
     * at the end the lowest ids stay.
     */
    void retainNucleus(double share) {
        sumWeights();
        double target = share * expSum();
        retainAtLeast(max - tailStart(share));
        fillWeights();
        fillKeysByScore();
        cut.find(keys, weights, count, target);
        float least = (float) -cut.key();
        double sum = cut.sumBelow();
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (scores[i] > least) {
                keep(i, kept++);
            } else if (scores[i] == least && (sum < target || sum == 0)) {
                keep(i, kept++);
                sum += cut.weight();
            }
        }
        removeFrom(kept);
    }

    /**
     * Removes all but the fewest whose information content is nearest to the entropy and that together have this share
     * of the probability; those as near as the last stay too.
     */
    void retainTypical(double share) {
        sumWeightsWithMean();
        double target = share * expSum();
        // Information content is log(expSum) + (max - score) and the entropy log(expSum) + meanBelowMax.
        double center = max - meanBelowMax();
        retainAtLeast(max - Math.max(tailStart(share), 2 * meanBelowMax() + PRUNE_MARGIN));
        fillWeights();
        for (int i = 0; i < count; i++) {
            keys[i] = Math.abs(scores[i] - center);
        }
        cut.find(keys, weights, count, target);
        int kept = 0;
        for (int i = 0; i < count; i++) {
            if (Math.abs(scores[i] - center) <= cut.key()) {
                keep(i, kept++);
            }
        }
        removeFrom(kept);
        bestId = UNKNOWN;
    }

    /**
     * Draws a candidate with its softmax probability, by inversion of the distribution function over ascending ids.
     *
     * @param uniform in [0, 1)
     * @return token id
     */
    int draw(double uniform) {
        return ids[softmax.draw(scores, count, max(), uniform)];
    }

    /**
     * How far below the greatest score a tail begins that is sure to have no more than 1 - share of the probability:
     * each of its tokens has at most that divided by their number.
     */
    private double tailStart(double share) {
        return Math.max(0, -StrictMath.log((1 - share) * expSum() / count)) + PRUNE_MARGIN;
    }

    /** The rank-th greatest of the maxima of slices: so at least that many scores are as great. */
    private double lowerBoundOfRank(int rank) {
        int slices = SLICES_PER_RANK * rank;
        int sliceLength = count / slices;
        reserve(slices);
        for (int slice = 0; slice < slices; slice++) {
            float greatest = -Float.MAX_VALUE;
            for (int i = slice * sliceLength; i < (slice + 1) * sliceLength; i++) {
                if (scores[i] > greatest) {
                    greatest = scores[i];
                }
            }
            keys[slice] = -(double) greatest;
            weights[slice] = 1;
        }
        cut.find(keys, weights, slices, rank);
        return -cut.key();
    }

    /** Looks for the greatest score, unless it is known; NaN counts as greater than all. */
    private void findBest() {
        if (bestId != UNKNOWN) {
            return;
        }
        float greatest = scores[0];
        int index = 0;
        // The branch is hardly ever taken, which is faster than Math.max.
        for (int i = 1; i < count; i++) {
            if (!(scores[i] <= greatest)) {
                if (Float.isNaN(greatest)) {
                    break;
                }
                greatest = scores[i];
                index = i;
            }
        }
        max = greatest;
        bestId = ids[index];
    }

    private void fillKeysByScore() {
        for (int i = 0; i < count; i++) {
            keys[i] = -scores[i];
        }
    }

    /** Fills the weights with exp(score - max). */
    private void fillWeights() {
        reserve(count);
        softmax.weights(scores, count, max(), weights);
    }

    private void reserve(int length) {
        if (keys.length < length) {
            int capacity = Math.min(Math.max(length, 2 * keys.length), vocabulary.length);
            keys = new double[capacity];
            weights = new double[capacity];
        }
    }

    private void keep(int from, int to) {
        scores[to] = scores[from];
        keptIds[to] = ids[from];
    }

    private void removeFrom(int kept) {
        ids = keptIds;
        count = kept;
    }
}
