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

    /** How many scores a guess at the tail looks at, and how much of the tail it takes. */
    private static final int SAMPLE = 1024;

    private static final double GUESSED_PART_OF_TAIL = 0.5;

    private static final int UNKNOWN = -1;

    private final int[] vocabulary;
    private final float[] vocabularyScores;
    private final int[] keptIds;
    private final float[] keptScores;
    private final RunningSumCut cut = new RunningSumCut();
    private final Softmax softmax;
    private double[] keys = new double[0];
    private double[] weights = new double[0];

    private int[] ids;
    private float[] scores;
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
        vocabularyScores = new float[vocabSize];
        keptIds = new int[vocabSize];
        keptScores = new float[vocabSize];
        softmax = new Softmax(vocabSize);
    }

    /** Length of a logits row. */
    public int vocabSize() {
        return vocabulary.length;
    }

    /** Starts anew with the whole vocabulary and these scores, from the buffer's position on. */
    void load(FloatBuffer logits) {
        logits.get(logits.position(), vocabularyScores);
        retainAll();
        bestId = UNKNOWN;
    }

    /** Scores to change in place, by token id; only until {@link #max} is asked or the first token is removed. */
    float[] vocabularyScores() {
        return vocabularyScores;
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
        removeFrom(keepAtLeast(least(score), 0, count, 0));
    }

    /** Removes all but the {@code rank} best and those that tie with the last of them. */
    void retainBest(int rank) {
        if (count / PRUNE_RATIO >= rank) {
            pruneSlices(rank);
        } else {
            retainAtLeast(Double.NEGATIVE_INFINITY);
        }
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
        pruneTail(share, max);
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
        pruneTail(share, max - 2 * meanBelowMax() - PRUNE_MARGIN);
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
     * Removes some of those that are not among the best that reach this share of the probability together, and fills
     * the weights of the rest. The vocabulary is pruned by a guess, and anew if too much was removed.
     *
     * @param atMost removes only candidates of a lower score than this
     */
    private void pruneTail(double share, double atMost) {
        if (ids == vocabulary && count >= PRUNE_RATIO * SAMPLE) {
            retainAtLeast(Math.min(atMost, guessOfTailStart(share)));
            if (fillWeights() >= share * expSum() * (1 + PRUNE_MARGIN)) {
                return;
            }
            retainAll();
        }
        // A tail is sure to have no more than 1 - share of the probability if each of its tokens has at most that
        // divided by their number.
        double belowMax = Math.max(0, -StrictMath.log((1 - share) * expSum() / count)) + PRUNE_MARGIN;
        retainAtLeast(Math.min(atMost, max - belowMax));
        fillWeights();
    }

    /** The score at which the tail would begin if all of the vocabulary were like an evenly spread sample of it. */
    private double guessOfTailStart(double share) {
        int stride = count / SAMPLE;
        reserve(SAMPLE);
        for (int i = 0; i < SAMPLE; i++) {
            keptScores[i] = scores[i * stride];
            keys[i] = Math.max(keptScores[i], -Float.MAX_VALUE);
        }
        softmax.weights(keptScores, SAMPLE, max, weights);
        cut.find(keys, weights, SAMPLE, GUESSED_PART_OF_TAIL * (1 - share) * expSum() / stride);
        return cut.key();
    }

    /**
     * Leaves those that are as great as the rank-th greatest of the maxima of slices: at least that many. Slices of a
     * lesser maximum are not looked at again.
     */
    private void pruneSlices(int rank) {
        int slices = SLICES_PER_RANK * rank;
        int length = count / slices;
        reserve(2 * slices);
        for (int slice = 0; slice < slices; slice++) {
            float greatest = -Float.MAX_VALUE;
            for (int i = slice * length; i < (slice + 1) * length; i++) {
                if (scores[i] > greatest) {
                    greatest = scores[i];
                }
            }
            keys[slice] = -(double) greatest;
            keys[slices + slice] = greatest;
            weights[slice] = 1;
        }
        cut.find(keys, weights, slices, rank);
        float least = least(-cut.key());
        int kept = 0;
        for (int slice = 0; slice < slices; slice++) {
            if (keys[slices + slice] >= least) {
                kept = keepAtLeast(least, slice * length, (slice + 1) * length, kept);
            }
        }
        removeFrom(keepAtLeast(least, slices * length, count, kept));
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

    /** Fills the weights with exp(score - max); returns their sum. */
    private double fillWeights() {
        reserve(count);
        return softmax.weights(scores, count, max(), weights);
    }

    private void reserve(int length) {
        if (keys.length < length) {
            int capacity = Math.min(Math.max(length, 2 * keys.length), vocabulary.length);
            keys = new double[capacity];
            weights = new double[capacity];
        }
    }

    /** The least possible score that is as great as this number. */
    private static float least(double score) {
        float least = Math.max((float) score, -Float.MAX_VALUE);
        return least < score ? Math.nextUp(least) : least;
    }

    /** Keeps those of a range that have a score as great; returns how many are kept then. */
    private int keepAtLeast(float least, int start, int end, int kept) {
        int to = kept;
        for (int i = start; i < end; i++) {
            if (scores[i] >= least) {
                keep(i, to++);
            }
        }
        return to;
    }

    private void keep(int from, int to) {
        keptScores[to] = scores[from];
        keptIds[to] = ids[from];
    }

    private void removeFrom(int kept) {
        ids = keptIds;
        scores = keptScores;
        count = kept;
    }

    private void retainAll() {
        ids = vocabulary;
        scores = vocabularyScores;
        count = vocabulary.length;
    }
}
