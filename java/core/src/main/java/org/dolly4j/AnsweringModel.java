package org.dolly4j;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.dolly4j.engine.Request;
import org.dolly4j.engine.RequestSpec;
import org.dolly4j.engine.StopCondition;
import org.dolly4j.prompt.AnswerText;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.tokenizer.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A loaded model, and what its checkpoint says about how it is asked: prompts, default sampling, end tokens. */
final class AnsweringModel {
    private static final Logger LOG = LoggerFactory.getLogger(AnsweringModel.class);

    private final LoadedModel model;
    private final TemplateTokens templateTokens;
    private final PromptEncoder promptEncoder;
    private final DefaultSampling defaultSampling;
    private final int[] eosIds;
    private final AtomicBoolean isOpen = new AtomicBoolean(true);

    private AnsweringModel(LoadedModel model) {
        this.model = model;
        templateTokens = TemplateTokens.of(model.tokenizer());
        promptEncoder = new PromptEncoder(
                model.tokenizer(),
                templateTokens,
                model.info().contextLength(),
                model.info().kvCacheTokens());
        defaultSampling = new DefaultSampling(model.checkpoint().generationConfig());
        List<Integer> stated = model.checkpoint().generationConfig().eosTokenIds();
        eosIds = stated.isEmpty()
                ? model.tokenizer().eosTokenId().stream().toArray()
                : stated.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Loads a model folder, see {@link LoadedModel#load}. */
    static AnsweringModel load(String name, Path folder, DollyOptions options) {
        LoadedModel model = LoadedModel.load(name, folder, options);
        try {
            return new AnsweringModel(model);
        } catch (RuntimeException | Error e) {
            model.close();
            throw e;
        }
    }

    ModelInfo info() {
        return model.info();
    }

    Tokenizer tokenizer() {
        return model.tokenizer();
    }

    DefaultSampling defaultSampling() {
        return defaultSampling;
    }

    EngineMetrics metrics() {
        return EngineMetrics.of(model.engine().counters());
    }

    /** See {@link Dolly#promptTokens}. */
    int[] promptTokens(GenerationRequest request) {
        return promptEncoder.encode(request).ids();
    }

    /** Queues a request, see {@link Dolly#generate(GenerationRequest)}. */
    RunningGeneration begin(GenerationRequest request) {
        PromptEncoder.Encoded prompt = promptEncoder.encode(request);
        boolean raw = request.input() instanceof GenerationRequest.Input.Raw;
        boolean markedByTokens = templateTokens.endKey().isPresent();
        List<String> stopStrings = request.stopStrings()
                .orElse(model.checkpoint().generationConfig().stopStrings());
        AnswerText.Rules rules = new AnswerText.Rules(stopStrings, !raw && !markedByTokens, !raw);
        SamplingOptions sampling = request.sampling()
                .orElseGet(request.beams().isPresent() ? defaultSampling::greedy : defaultSampling::drawn);
        Optional<BeamOptions> search = search(request, sampling);
        int sequences = request.sequences().orElseGet(() -> defaultSampling.sequences(sampling, search));
        RequestSpec spec = new RequestSpec(
                prompt.ids(),
                sequences,
                prompt.maxNewTokens(),
                sampling,
                endIds(raw),
                request.stopTokenIds().stream().mapToInt(Integer::intValue).toArray(),
                rules.canEnd() ? textStop(rules, sequences) : StopCondition.NEVER,
                request.seed().orElseGet(() -> ThreadLocalRandom.current().nextLong()),
                request.deadline(),
                request.cacheSalt(),
                search,
                request.topLogprobs(),
                List.of());
        Request running = model.engine().submit(spec);
        return new RunningGeneration(
                running,
                model.tokenizer(),
                rules,
                templateTokens.endKey(),
                request.returnFullText() ? prompt.text() : "");
    }

    /** The beam search that a request asks for, or else generation_config.json; one beam is none. */
    private Optional<BeamOptions> search(GenerationRequest request, SamplingOptions sampling) {
        return request.beams()
                .or(() -> sampling.doSample() ? Optional.empty() : defaultSampling.beams())
                .filter(search -> search.beams() > 1);
    }

    /** Queues a request that scores texts, see {@link Dolly#score(GenerationRequest, List)}. */
    RunningGeneration beginScoring(GenerationRequest request, List<String> continuations) {
        PromptEncoder.Scored scored = promptEncoder.encode(
                request, continuations, Arrays.stream(eosIds).findFirst());
        int top = Math.max(1, request.topLogprobs().orElse(1)); // the likeliest token is always wanted
        RequestSpec spec = RequestSpec.scoring(
                scored.prompt(), scored.continuations(), request.deadline(), request.cacheSalt(), top);
        AnswerText.Rules rules = new AnswerText.Rules(List.of(), false, false);
        return new RunningGeneration(
                model.engine().submit(spec), model.tokenizer(), rules, templateTokens.endKey(), "");
    }

    /** As in Dolly's pipeline, the end key takes the place of the end-of-sequence token where there is one. */
    private int[] endIds(boolean raw) {
        IntStream endKey = templateTokens.endKey().stream();
        return templateTokens.endKey().isEmpty() || raw
                ? IntStream.concat(endKey, IntStream.of(eosIds)).toArray()
                : endKey.toArray();
    }

    /** Reads along on the engine's thread, so that a sequence has no token after the one that completes its end. */
    private StopCondition textStop(AnswerText.Rules rules, int sequences) {
        List<AnswerStream> streams = new ArrayList<>();
        for (int i = 0; i < sequences; i++) {
            streams.add(new AnswerStream(model.tokenizer(), rules));
        }
        return new StopCondition() {
            @Override
            public boolean stopsAfter(int sequence, int token) {
                AnswerStream stream = streams.get(sequence);
                stream.append(token);
                return stream.ending() != AnswerText.Ending.NONE;
            }

            @Override
            public boolean endsWith(int[] answer) {
                AnswerStream stream = new AnswerStream(model.tokenizer(), rules);
                for (int token : answer) {
                    stream.append(token);
                }
                return stream.ending() != AnswerText.Ending.NONE;
            }
        };
    }

    /** Takes no more requests; those it has go on. */
    void stopTaking() {
        model.engine().stopTaking();
    }

    /**
     * Takes no more requests, and waits until those it has have ended.
     *
     * @return whether they have, within the time
     */
    boolean drain(Duration time) {
        return model.engine().drain(time);
    }

    /** Ends all requests and frees the native memory; idempotent. */
    void close() {
        model.close();
        if (isOpen.getAndSet(false)) {
            EngineMetrics metrics = metrics();
            LOG.info(
                    "Closed {} after {} steps, which wrote {} tokens",
                    info().name(),
                    metrics.steps().count(),
                    metrics.tokens().generatedTokens());
        }
    }
}
