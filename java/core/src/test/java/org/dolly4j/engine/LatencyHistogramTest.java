package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.LongStream;
import org.dolly4j.engine.LatencyHistogram.Bucket;
import org.junit.jupiter.api.Test;

class LatencyHistogramTest {
    private static LatencyHistogram of(long... nanos) {
        LatencyRecorder recorder = new LatencyRecorder();
        Arrays.stream(nanos).forEach(recorder::record);
        return recorder.snapshot();
    }

    @Test
    void buckets_followEachOtherWithoutAGap_andEachDurationIsInItsOwn() {
        assertThat(LatencyHistogram.lowerBound(0)).isZero();
        for (int i = 0; i < LatencyHistogram.BUCKETS; i++) {
            long from = LatencyHistogram.lowerBound(i);
            long last = LatencyHistogram.lowerBound(i + 1) - 1;
            assertThat(LatencyHistogram.bucketOf(from)).isEqualTo(i);
            assertThat(LatencyHistogram.bucketOf(last)).isEqualTo(i);
        }
        assertThat(LatencyHistogram.bucketOf(Long.MAX_VALUE)).isEqualTo(LatencyHistogram.BUCKETS - 1);
    }

    @Test
    void quantiles_areWithinThreePointTwoPerCent() {
        Random random = new Random(1);
        // From about 100 nanoseconds to about 20 minutes, as many in each decade.
        long[] durations = LongStream.generate(() -> (long) Math.pow(10, 2 + 10 * random.nextDouble()))
                .limit(20_000)
                .toArray();
        LatencyHistogram histogram = of(durations);
        Arrays.sort(durations);
        for (double share : new double[] {0, 0.01, 0.5, 0.9, 0.99, 0.999, 1}) {
            long exact = durations[(int) Math.max(0, Math.ceil(share * durations.length) - 1)];
            assertThat((double) histogram.quantile(share).toNanos())
                    .as("share %s", share)
                    .isCloseTo((double) exact, within(exact * 0.032));
        }
    }

    @Test
    void countSumMeanAndMaximum_areExact() {
        LatencyHistogram histogram = of(1_000_003, 5, 17_000_019);
        assertThat(histogram.count()).isEqualTo(3);
        assertThat(histogram.sum()).isEqualTo(Duration.ofNanos(18_000_027));
        assertThat(histogram.mean()).isEqualTo(Duration.ofNanos(6_000_009));
        assertThat(histogram.max()).isEqualTo(Duration.ofNanos(17_000_019));
        assertThat(histogram.quantile(1)).isEqualTo(histogram.max());
    }

    @Test
    void quantile_isNeverAboveTheMaximum() {
        assertThat(of(1 << 20).quantile(0.5)).isEqualTo(Duration.ofNanos(1 << 20));
        Duration week = Duration.ofDays(7);
        assertThat(of(week.toNanos()).quantile(0.5)).isLessThanOrEqualTo(week);
    }

    @Test
    void durationBelowZero_countsAsZero() {
        assertThat(of(-5).buckets()).containsExactly(new Bucket(0, 1, 1));
    }

    @Test
    void emptyHistogram_isZeroThroughout() {
        assertThat(of().count()).isZero();
        assertThat(of().mean()).isZero();
        assertThat(of().quantile(0.99)).isZero();
        assertThat(of().buckets()).isEmpty();
    }

    @Test
    void filledBuckets_comeInOrderWithTheirBoundsAndCounts() {
        assertThat(of(100, 3, 103, 104).buckets())
                .containsExactly(new Bucket(3, 4, 1), new Bucket(100, 104, 2), new Bucket(104, 108, 1));
    }

    @Test
    void countBelowAPowerOfTwo_isExact() {
        LatencyHistogram histogram = of(1, 1023, 1024, 1025, 1L << 50);
        assertThat(histogram.countBelow(Duration.ZERO)).isZero();
        assertThat(histogram.countBelow(Duration.ofNanos(1024))).isEqualTo(2);
        assertThat(histogram.countBelow(Duration.ofNanos(2048))).isEqualTo(4);
        assertThat(histogram.countBelow(Duration.ofDays(100)))
                .as("what shares the last bucket may be longer than any bound")
                .isEqualTo(4);
    }

    @Test
    void snapshot_staysAsItWas() {
        LatencyRecorder recorder = new LatencyRecorder();
        recorder.record(10);
        LatencyHistogram before = recorder.snapshot();
        recorder.record(20);
        assertThat(before.count()).isEqualTo(1);
        assertThat(before.max()).isEqualTo(Duration.ofNanos(10));
    }

    @Test
    void shareOutOfItsRange_isRefused() {
        for (double share : new double[] {-0.1, 1.1, 99, Double.NaN}) {
            assertThatThrownBy(() -> of(1).quantile(share))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("from 0 to 1");
        }
    }
}
