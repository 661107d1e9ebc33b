package org.dolly4j.sampling;

import java.util.Arrays;

/**
 * Finds where a running sum of weights, taken in ascending order of keys, first reaches a target, without sorting.
 *
 * <p>Method: the weights are summed in equally wide buckets between the least and the greatest key; the bucket in which
 * the sum reaches the target is divided again, until it holds a single key. A pass costs time in proportion to what is
 * left, and each leaves a small part of it. Sums are float64 and taken in a fixed order.
 *
 * <p>Holds its work space and the last result; not thread-safe.
 */
final class RunningSumCut {
    // Enough that the scores of a vocabulary need two or three passes, and still a small table.
    private static final int BUCKETS = 256;

    private final double[] bucketSums = new double[BUCKETS];
    private double key;
    private double weight;
    private double sumBelow;

    /**
     * Looks for the cut.
     *
     * @param keys finite; overwritten
     * @param weights one for each key, 0 or more; overwritten
     * @param count how many of both count, 1 or more
     * @param target if even all weights do not reach it, the greatest key is the cut
     */
    void find(double[] keys, double[] weights, int count, double target) {
        sumBelow = 0;
        int left = count;
        while (true) {
            double least = keys[0];
            double greatest = keys[0];
            for (int i = 1; i < left; i++) {
                if (keys[i] < least) {
                    least = keys[i];
                } else if (keys[i] > greatest) {
                    greatest = keys[i];
                }
            }
            if (least == greatest) {
                key = least;
                weight = weights[0];
                return;
            }
            left = narrow(keys, weights, left, target, least, (BUCKETS - 1) / (greatest - least));
        }
    }

    /** The key at which the running sum first reaches the target. */
    double key() {
        return key;
    }

    /** Weight of a key equal to {@link #key()}. */
    double weight() {
        return weight;
    }

    /** Sum of the weights of all keys below {@link #key()}. */
    double sumBelow() {
        return sumBelow;
    }

    /** Moves the bucket in which the sum reaches the target to the front; returns its size. */
    private int narrow(double[] keys, double[] weights, int count, double target, double least, double scale) {
        Arrays.fill(bucketSums, 0);
        int last = 0;
        for (int i = 0; i < count; i++) {
            int bucket = bucket(keys[i], least, scale);
            bucketSums[bucket] += weights[i];
            last = Math.max(last, bucket);
        }
        int cut = 0;
        while (cut < last && sumBelow + bucketSums[cut] < target) {
            sumBelow += bucketSums[cut];
            cut++;
        }
        int left = 0;
        for (int i = 0; i < count; i++) {
            if (bucket(keys[i], least, scale) == cut) {
                keys[left] = keys[i];
                weights[left] = weights[i];
                left++;
            }
        }
        return left;
    }

    /** The least key falls into the first bucket and the greatest into the last, so every pass leaves fewer keys. */
    private static int bucket(double key, double least, double scale) {
        return Math.min((int) ((key - least) * scale), BUCKETS - 1);
    }
}
