package org.dolly4j.micrometer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.lang.ref.WeakReference;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.EngineMetrics;
import org.dolly4j.GenerationRequest;
import org.dolly4j.TestTokenizers;
import org.dolly4j.engine.LatencyHistogram;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class DollyMetersTest {
    private final MeterRegistry registry = new SimpleMeterRegistry();

    private static Dolly load() {
        return Dolly.load(
                TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-ends"),
                DollyOptions.builder()
                        .tokenizer(TestTokenizers.published())
                        .threads(1)
                        .build());
    }

    private static void ask(Dolly dolly) {
        dolly.generate(GenerationRequest.forInstruction("Tell me a story about a fox.")
                .maxNewTokens(12)
                .seed(7)
                .build());
    }

    private double gauge(String name, String... tags) {
        return registry.get(name).tags(tags).gauge().value();
    }

    private long counter(String name, String... tags) {
        return (long) registry.get(name).tags(tags).functionCounter().count();
    }

    /** Each meter, name and tags, with all its values; only the rate depends on when it is asked for. */
    private Map<String, String> values() {
        return registry.getMeters().stream()
                .filter(meter -> !meter.getId().getName().equals("dolly.tokens.rate"))
                .collect(Collectors.toMap(meter -> meter.getId().toString(), meter -> meter.measure()
                        .toString()));
    }

    @Test
    void meters_areTheModelsMetrics_andStayAfterClose() {
        Dolly dolly = load();
        new DollyMeters(dolly).bindTo(registry);
        ask(dolly);
        ask(dolly);
        EngineMetrics metrics = dolly.metrics();

        assertThat(gauge("dolly.requests.running", "model", "dolly-tiny-ends")).isZero();
        assertThat(gauge("dolly.requests.waiting")).isZero();
        assertThat(gauge("dolly.sequences.running")).isZero();
        assertThat(counter("dolly.requests.ended", "ending", "completed")).isEqualTo(2);
        assertThat(counter("dolly.requests.ended", "ending", "failed")).isZero();
        assertThat(counter("dolly.requests.rejected")).isZero();
        assertThat(counter("dolly.tokens.generated")).isEqualTo(metrics.tokens().generatedTokens());
        assertThat(counter("dolly.draft.tokens")).isEqualTo(metrics.tokens().draftTokens());
        assertThat(counter("dolly.draft.tokens.accepted"))
                .isEqualTo(metrics.tokens().acceptedDraftTokens());
        assertThat(counter("dolly.prompt.read")).isEqualTo(metrics.tokens().readPromptTokens());
        assertThat(counter("dolly.prefix.cache.lookups"))
                .isEqualTo(metrics.tokens().lookedUpTokens());
        assertThat(counter("dolly.prefix.cache.hits"))
                .isPositive()
                .isEqualTo(metrics.tokens().foundTokens());
        assertThat(counter("dolly.rows")).isEqualTo(metrics.steps().rows());
        assertThat(counter("dolly.preemptions")).isZero();
        assertThat(gauge("dolly.tokens.rate")).isPositive();
        double kept = gauge("dolly.kv.cache", "state", "kept");
        assertThat(kept).isEqualTo(metrics.kvCache().keptTokens()).isPositive();
        assertThat(gauge("dolly.kv.cache", "state", "used") + kept + gauge("dolly.kv.cache", "state", "free"))
                .isEqualTo(dolly.info().kvCacheTokens());

        Map<String, String> before = values();
        dolly.close();
        assertThat(values()).isEqualTo(before);
    }

    @Test
    void times_areThoseOfTheHistogram_inSecondsAndAsBuckets() {
        try (Dolly dolly = load()) {
            new DollyMeters(dolly).bindTo(registry);
            ask(dolly);
            LatencyHistogram step = dolly.metrics().latencies().step();
            var timer = registry.get("dolly.step").functionTimer();
            assertThat((long) timer.count()).isEqualTo(step.count());
            assertThat(timer.totalTime(TimeUnit.NANOSECONDS))
                    .isEqualTo((double) step.sum().toNanos(), within(1.0));
            assertThat(registry.get("dolly.step.max").timeGauge().value(TimeUnit.NANOSECONDS))
                    .isEqualTo((double) step.max().toNanos(), within(1.0));
            assertThat(registry.get("dolly.step.percentile")
                            .tag("phi", "0.99")
                            .timeGauge()
                            .value(TimeUnit.NANOSECONDS))
                    .isEqualTo((double) step.quantile(0.99).toNanos(), within(1.0));
            assertThat(counter("dolly.step.below", "le", "+Inf")).isEqualTo(step.count());
            assertThat(counter("dolly.step.below", "le", "68.719476736")).isEqualTo(step.count());
            assertThat(counter("dolly.step.below", "le", "0.001048576"))
                    .isEqualTo(step.buckets().stream()
                            .filter(bucket -> bucket.toNanos() <= 1 << 20)
                            .mapToLong(LatencyHistogram.Bucket::count)
                            .sum());
            assertThat(registry.get("dolly.request.first.token").functionTimer().count())
                    .isEqualTo(1);
            assertThat(registry.get("dolly.request.queue").functionTimer().count())
                    .isEqualTo(1);
            assertThat((long)
                            registry.get("dolly.token.interval").functionTimer().count())
                    .isEqualTo(dolly.metrics().tokens().generatedTokens() - 1);
        }
    }

    @Test
    void everyMeter_saysItsModel_andAllButTimesTheirUnit() {
        try (Dolly dolly = load()) {
            new DollyMeters(dolly, Tags.of("server", "left")).bindTo(registry);
            assertThat(registry.getMeters()).isNotEmpty().allSatisfy(meter -> {
                assertThat(meter.getId().getTag("model")).isEqualTo("dolly-tiny-ends");
                assertThat(meter.getId().getTag("server")).isEqualTo("left");
                assertThat(meter.getId().getName()).startsWith("dolly.");
                if (!meter.getId().getName().endsWith(".below")) {
                    assertThat(meter.getId().getBaseUnit())
                            .as(meter.getId().getName())
                            .isNotBlank();
                }
            });
        }
    }

    @Test
    void twoModelsOfOneName_areToldApartByTheirOwnTags() {
        try (Dolly left = load();
                Dolly right = load()) {
            new DollyMeters(left, Tags.of("server", "left")).bindTo(registry);
            new DollyMeters(right, Tags.of("server", "right")).bindTo(registry);
            ask(right);
            assertThat(counter("dolly.requests.ended", "ending", "completed", "server", "left"))
                    .isZero();
            assertThat(counter("dolly.requests.ended", "ending", "completed", "server", "right"))
                    .isEqualTo(1);
        }
    }

    @Test
    void registry_doesNotKeepAModelThatWasForgotten() throws Exception {
        WeakReference<Dolly> forgotten = bindAndForget();
        while (forgotten.get() != null) {
            System.gc();
            Thread.sleep(20);
        }
        assertThat(values()).isNotEmpty();
        assertThat(counter("dolly.requests.ended", "ending", "completed"))
                .as("seen before")
                .isEqualTo(1);
    }

    private WeakReference<Dolly> bindAndForget() {
        try (Dolly dolly = load()) {
            new DollyMeters(dolly).bindTo(registry);
            ask(dolly);
            assertThat(values()).isNotEmpty();
            return new WeakReference<>(dolly);
        }
    }
}
