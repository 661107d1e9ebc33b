package org.dolly4j.micrometer;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.FunctionTimer;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.TimeGauge;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.dolly4j.Dolly;
import org.dolly4j.engine.LatencyHistogram;

/**
 * The meters of one histogram. Micrometer has no meter that takes a histogram as it is: what is exact becomes a timer
 * and counters, and the rest gauges. What the registry keeps refers to the model weakly.
 */
final class LatencyMeters {
    private static final double[] SHARES = {0.5, 0.9, 0.99};

    /** Bounds of the buckets are 2 to this power of nanoseconds, 131 us, and each of the following until 69 s. */
    private static final int SMALLEST_BOUND = 17;

    private static final int LARGEST_BOUND = 36;

    private LatencyMeters() {}

    /**
     * Binds them.
     *
     * @param name of the timer; those of the others begin with it
     * @param source takes the histogram out of what is measured
     */
    static void bind(
            MeterRegistry registry,
            String name,
            Iterable<Tag> tags,
            Dolly dolly,
            Function<Dolly, LatencyHistogram> source) {
        FunctionTimer.builder(
                        name,
                        dolly,
                        model -> source.apply(model).count(),
                        model -> source.apply(model).sum().toNanos(),
                        TimeUnit.NANOSECONDS)
                .tags(tags)
                .register(registry);
        gauge(name + ".max", dolly, source.andThen(LatencyHistogram::max))
                .tags(tags)
                .register(registry);
        for (double share : SHARES) {
            gauge(name + ".percentile", dolly, source.andThen(histogram -> histogram.quantile(share)))
                    .tags(tags)
                    .tag("phi", Double.toString(share))
                    .register(registry);
        }
        for (int power = SMALLEST_BOUND; power <= LARGEST_BOUND; power++) {
            Duration bound = Duration.ofNanos(1L << power);
            below(name, dolly, model -> source.apply(model).countBelow(bound))
                    .tags(tags)
                    .tag("le", seconds(bound))
                    .register(registry);
        }
        below(name, dolly, model -> source.apply(model).count())
                .tags(tags)
                .tag("le", "+Inf")
                .register(registry);
    }

    private static TimeGauge.Builder<Dolly> gauge(String name, Dolly dolly, Function<Dolly, Duration> value) {
        return TimeGauge.builder(name, dolly, TimeUnit.NANOSECONDS, model ->
                (double) value.apply(model).toNanos());
    }

    private static FunctionCounter.Builder<Dolly> below(String name, Dolly dolly, ToDoubleFunction<Dolly> count) {
        return FunctionCounter.builder(name + ".below", dolly, count);
    }

    private static String seconds(Duration duration) {
        return BigDecimal.valueOf(duration.toNanos(), 9).toPlainString();
    }
}
