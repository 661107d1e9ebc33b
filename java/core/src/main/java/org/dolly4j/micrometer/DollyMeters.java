package org.dolly4j.micrometer;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import org.dolly4j.Dolly;
import org.dolly4j.EngineMetrics;
import org.dolly4j.engine.LatencyHistogram;

/**
 * The metrics of a loaded model as meters of Micrometer, for example for Prometheus.
 *
 * <pre>{@code
 * new DollyMeters(dolly).bindTo(registry);
 * }</pre>
 *
 * <p>All are read when the registry is: nothing is measured for them. They have the tag {@code model}, the model's
 * name. What they mean is said at the component of {@link EngineMetrics} of that name:
 *
 * <ul>
 *   <li>gauges: {@code dolly.requests.waiting}, {@code dolly.requests.running}, {@code dolly.sequences.running}, {@code
 *       dolly.kv.cache} (tokens, with the tag {@code state}: used, kept, free), {@code dolly.tokens.rate} (tokens per
 *       second)
 *   <li>counters: {@code dolly.requests.ended} (with the tag {@code ending}: completed, cancelled, deadline, failed),
 *       {@code dolly.requests.rejected}, {@code dolly.prompt.read}, {@code dolly.prefix.cache.lookups}, {@code
 *       dolly.prefix.cache.hits}, {@code dolly.tokens.generated}, {@code dolly.draft.tokens} and {@code
 *       dolly.draft.tokens.accepted} (tokens), {@code dolly.rows}, {@code dolly.preemptions}
 *   <li>times: {@code dolly.request.queue}, {@code dolly.request.first.token}, {@code dolly.token.interval}, {@code
 *       dolly.step}. Each is a timer with count and total; gauges {@code .max} and {@code .percentile} (with the tag
 *       {@code phi}: 0.5, 0.9, 0.99), both since the load; and counters {@code .below} of the durations shorter than
 *       the tag {@code le}, in seconds, from which a monitoring system computes percentiles of any time and of
 *       several processes together
 * </ul>
 *
 * <p>After {@link Dolly#reload} the meters are those of the new checkpoint, whose counters begin at 0 as those of a new
 * process do; the tag {@code model} stays.
 *
 * <p>The registry does not keep the model from being garbage. After {@link Dolly#close} the meters stay as they were.
 */
public final class DollyMeters implements MeterBinder {
    private final Dolly dolly;
    private final Iterable<Tag> tags;

    /** Meters with the tag {@code model} alone. */
    public DollyMeters(Dolly dolly) {
        this(dolly, Tags.empty());
    }

    /**
     * Meters with more tags: needed where two models of one name have their meters in one registry.
     *
     * @param tags beside {@code model}
     */
    public DollyMeters(Dolly dolly, Iterable<Tag> tags) {
        this.dolly = Objects.requireNonNull(dolly, "dolly");
        this.tags = Tags.of(tags).and("model", dolly.info().name());
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        bindRequests(registry);
        bindKvCache(registry);
        bindTokens(registry);
        bindSteps(registry);
        bindTimes(registry);
    }

    private void bindRequests(MeterRegistry registry) {
        gauge("dolly.requests.waiting", "requests", metrics -> metrics.requests()
                        .waiting())
                .description("Requests that wait for their first step")
                .register(registry);
        gauge("dolly.requests.running", "requests", metrics -> metrics.requests()
                        .running())
                .description("Requests that have begun and not ended")
                .register(registry);
        ended(registry, "completed", metrics -> metrics.requests().completed());
        ended(registry, "cancelled", metrics -> metrics.requests().cancelled());
        ended(registry, "deadline", metrics -> metrics.requests().late());
        ended(registry, "failed", metrics -> metrics.requests().failed());
        counter("dolly.requests.rejected", "requests", metrics -> metrics.requests()
                        .rejected())
                .description("Requests that were refused, since too many waited")
                .register(registry);
    }

    private void ended(MeterRegistry registry, String ending, ToLongFunction<EngineMetrics> value) {
        counter("dolly.requests.ended", "requests", value)
                .tag("ending", ending)
                .description("Requests that ended, by how they did")
                .register(registry);
    }

    private void bindKvCache(MeterRegistry registry) {
        kvCache(registry, "used", metrics -> metrics.kvCache().usedTokens());
        kvCache(registry, "kept", metrics -> metrics.kvCache().keptTokens());
        kvCache(
                registry,
                "free",
                metrics -> metrics.kvCache().totalTokens()
                        - metrics.kvCache().usedTokens()
                        - metrics.kvCache().keptTokens());
    }

    private void kvCache(MeterRegistry registry, String state, ToDoubleFunction<EngineMetrics> value) {
        gauge("dolly.kv.cache", "tokens", value)
                .tag("state", state)
                .description("Room of the KV cache: used by sequences, kept for prompts to come, or free")
                .register(registry);
    }

    private void bindTokens(MeterRegistry registry) {
        counter("dolly.prompt.read", "tokens", metrics -> metrics.tokens().readPromptTokens())
                .description("Prompt tokens that passed through the model")
                .register(registry);
        counter("dolly.prefix.cache.lookups", "tokens", metrics -> metrics.tokens()
                        .lookedUpTokens())
                .description("Tokens that were looked up in the prefix cache")
                .register(registry);
        counter("dolly.prefix.cache.hits", "tokens", metrics -> metrics.tokens().foundTokens())
                .description("Tokens that were found in the prefix cache, and so not read")
                .register(registry);
        counter("dolly.tokens.generated", "tokens", metrics -> metrics.tokens().generatedTokens())
                .description("Tokens of answers")
                .register(registry);
        counter("dolly.draft.tokens", "tokens", metrics -> metrics.tokens().draftTokens())
                .description("Draft tokens that were verified")
                .register(registry);
        counter("dolly.draft.tokens.accepted", "tokens", metrics -> metrics.tokens()
                        .acceptedDraftTokens())
                .description("Draft tokens that were the tokens drawn, so that each saved a step")
                .register(registry);
        gauge("dolly.tokens.rate", "tokens per second", metrics -> metrics.tokens()
                        .generatedPerSecond())
                .description("Tokens of answers per second, in the last ten seconds")
                .register(registry);
    }

    private void bindSteps(MeterRegistry registry) {
        gauge("dolly.sequences.running", "sequences", metrics -> metrics.steps().sequences())
                .description("Sequences that run, from their first row on")
                .register(registry);
        counter("dolly.rows", "rows", metrics -> metrics.steps().rows())
                .description("Tokens that passed through the model in all steps")
                .register(registry);
        counter("dolly.preemptions", "sequences", metrics -> metrics.steps().preemptions())
                .description("Sequences that gave their KV cache up for others")
                .register(registry);
    }

    private void bindTimes(MeterRegistry registry) {
        times(registry, "dolly.request.queue", metrics -> metrics.latencies().queue());
        times(registry, "dolly.request.first.token", metrics -> metrics.latencies()
                .firstToken());
        times(registry, "dolly.token.interval", metrics -> metrics.latencies().betweenTokens());
        times(registry, "dolly.step", metrics -> metrics.latencies().step());
    }

    private Gauge.Builder<Dolly> gauge(String name, String unit, ToDoubleFunction<EngineMetrics> value) {
        return Gauge.builder(name, dolly, model -> value.applyAsDouble(model.metrics()))
                .baseUnit(unit)
                .tags(tags);
    }

    private FunctionCounter.Builder<Dolly> counter(String name, String unit, ToLongFunction<EngineMetrics> value) {
        return FunctionCounter.builder(name, dolly, model -> value.applyAsLong(model.metrics()))
                .baseUnit(unit)
                .tags(tags);
    }

    private void times(MeterRegistry registry, String name, Function<EngineMetrics, LatencyHistogram> histogram) {
        LatencyMeters.bind(registry, name, tags, dolly, model -> histogram.apply(model.metrics()));
    }
}
