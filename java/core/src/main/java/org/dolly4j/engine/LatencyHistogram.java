package org.dolly4j.engine;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How often something took how long, as it stood at one moment. Count, sum and maximum are exact. Durations are told
 * apart by 16 buckets for each power of two of nanoseconds, so a quantile is within 3.2 per cent of the true one;
 * those of 2.4 hours and more share the last bucket.
 */
public final class LatencyHistogram {
    /** Two to this power are the buckets of one power of two. */
    private static final int SUB_BUCKET_BITS = 4;

    private static final int SUB_BUCKETS = 1 << SUB_BUCKET_BITS;

    /** Durations of two to this power of nanoseconds and above are not told apart. */
    private static final int LARGEST_BITS = 43;

    static final int BUCKETS = (LARGEST_BITS - SUB_BUCKET_BITS + 1) * SUB_BUCKETS + 1;

    private final long[] counts;
    private final long count;
    private final long sumNanos;
    private final long maxNanos;

    /**
     * One range of durations.
     *
     * @param fromNanos shortest duration in it, nanoseconds
     * @param toNanos shortest duration above it, nanoseconds; {@link Long#MAX_VALUE} for the last bucket
     * @param count how often such a duration was seen
     */
    public record Bucket(long fromNanos, long toNanos, long count) {}

    /**
     * @param counts one for each of the {@link #BUCKETS}; not copied
     * @param sumNanos sum of all durations
     * @param maxNanos longest one, 0 if there is none
     */
    LatencyHistogram(long[] counts, long sumNanos, long maxNanos) {
        this.counts = counts;
        this.sumNanos = sumNanos;
        this.maxNanos = maxNanos;
        long all = 0;
        for (long one : counts) {
            all += one;
        }
        count = all;
    }

    /** The bucket of a duration of 0 nanoseconds or more: one for each below 16, then 16 for each power of two. */
    static int bucketOf(long nanos) {
        int bits = Long.SIZE - Long.numberOfLeadingZeros(nanos);
        if (bits <= SUB_BUCKET_BITS) {
            return (int) nanos;
        }
        if (bits > LARGEST_BITS) {
            return BUCKETS - 1;
        }
        int shift = bits - SUB_BUCKET_BITS - 1;
        return shift * SUB_BUCKETS + (int) (nanos >>> shift);
    }

    /** Shortest duration of a bucket, nanoseconds; {@link Long#MAX_VALUE} for what would come after the last bucket. */
    static long lowerBound(int bucket) {
        if (bucket >= BUCKETS) {
            return Long.MAX_VALUE;
        }
        int shift = Math.max(0, bucket / SUB_BUCKETS - 1);
        return (long) (bucket - shift * SUB_BUCKETS) << shift;
    }

    /** How many durations were seen. */
    public long count() {
        return count;
    }

    /** All of them together. */
    public Duration sum() {
        return Duration.ofNanos(sumNanos);
    }

    /** The longest one; zero if there is none. */
    public Duration max() {
        return Duration.ofNanos(maxNanos);
    }

    /** The mean; zero if there is none. */
    public Duration mean() {
        return Duration.ofNanos(count == 0 ? 0 : sumNanos / count);
    }

    /**
     * The duration that a share of them does not exceed: 0.5 gives the median, 1 the maximum.
     *
     * @param share 0 to 1
     * @return the middle of the bucket where that duration lies, at most {@link #max}; zero if there is none
     * @throws IllegalArgumentException if the share is out of its range
     */
    public Duration quantile(double share) {
        if (!(share >= 0 && share <= 1)) {
            throw new IllegalArgumentException("A quantile is of a share from 0 to 1, not " + share + ".");
        }
        if (count == 0 || share == 1) {
            return max();
        }
        long rank = Math.max(1, (long) Math.ceil(share * count));
        int bucket = 0;
        for (long seen = counts[0]; seen < rank; seen += counts[bucket]) {
            bucket++;
        }
        long from = lowerBound(bucket);
        long middle = from + (lowerBound(bucket + 1) - from) / 2;
        return Duration.ofNanos(Math.min(middle, maxNanos));
    }

    /**
     * How many were shorter than a bound: exact if that is a power of two of nanoseconds, otherwise of the buckets
     * that lie wholly below.
     */
    public long countBelow(Duration bound) {
        long below = 0;
        for (int i = 0; i < BUCKETS - 1 && lowerBound(i + 1) <= bound.toNanos(); i++) {
            below += counts[i];
        }
        return below;
    }

    /** The buckets that have counts, in the order of their durations. */
    public List<Bucket> buckets() {
        List<Bucket> filled = new ArrayList<>();
        for (int i = 0; i < BUCKETS; i++) {
            if (counts[i] > 0) {
                filled.add(new Bucket(lowerBound(i), lowerBound(i + 1), counts[i]));
            }
        }
        return List.copyOf(filled);
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "%,d, median %.3f ms, 99%% %.3f ms, at most %.3f ms",
                count,
                quantile(0.5).toNanos() / 1e6,
                quantile(0.99).toNanos() / 1e6,
                maxNanos / 1e6);
    }
}
