package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The same tokens for the same seed, whatever else runs. {@code -Ddolly4j.determinism.requests=N} asks more than the
 * 150 of each weight type that suit every build.
 */
@Timeout(3600)
class DeterminismTest {
    private static final int REQUESTS = Integer.getInteger("dolly4j.determinism.requests", 150);

    /** So small that sequences are preempted. */
    private static final int KV_CACHE_TOKENS = 512;

    /** So short that prompts are read in pieces. */
    private static final int SHORT_STEP = 1;

    /** So large that 64 sequences run together. */
    private static final int ROOM_FOR_64 = 64 * 640;

    private static final List<String> TEXTS = List.of("Bangkok", "I do not know that.", "A whale is no fish.");

    private static List<GenerationRequest> requests() throws IOException {
        List<String> instructions = DemoQuestions.instructions();
        Random random = new Random(11);
        List<GenerationRequest> requests = new ArrayList<>();
        for (int i = 0; i < REQUESTS; i++) {
            String instruction = instructions.get(random.nextInt(instructions.size()));
            GenerationRequest.Builder request =
                    switch (random.nextInt(3)) {
                        case 0 -> GenerationRequest.forInstruction(instruction);
                        // A long prompt that many begin with, and that answers quote.
                        case 1 -> GenerationRequest.forInstruction(instruction, DemoQuestions.context(20));
                        default ->
                            GenerationRequest.forInstruction(
                                    instruction, DemoQuestions.context(1 + random.nextInt(20)));
                    };
            if (random.nextInt(10) == 0) {
                requests.add(request.beams(BeamOptions.of(2))
                        .sequences(2)
                        .maxNewTokens(1 + random.nextInt(24))
                        .build());
                continue;
            }
            requests.add(request.seed(random.nextInt(50))
                    .sequences(1 + random.nextInt(3) * random.nextInt(2))
                    .maxNewTokens(1 + random.nextInt(64))
                    .sampling(sampling(random))
                    .build());
        }
        return requests;
    }

    private static SamplingOptions sampling(Random random) {
        return switch (random.nextInt(4)) {
            case 0 -> SamplingOptions.greedy();
            case 1 -> SamplingOptions.dolly();
            case 2 ->
                SamplingOptions.builder()
                        .doSample(true)
                        .temperature(1.3)
                        .topK(40)
                        .repetitionPenalty(1.1)
                        .build();
            default -> SamplingOptions.builder().doSample(true).minNewTokens(60).build();
        };
    }

    /** What a request is answered, in numbers; every eighth is for the scores of given texts. */
    private static CompletableFuture<List<List<?>>> ask(Dolly dolly, int number, GenerationRequest request) {
        if (number % 8 == 7) {
            return CompletableFuture.supplyAsync(
                    () -> dolly.score(request, TEXTS).stream()
                            .<List<?>>map(ContinuationScore::logprobs)
                            .toList(),
                    task -> new Thread(task).start());
        }
        return dolly.submit(request).thenApply(result -> result.generations().stream()
                .<List<?>>map(one -> Arrays.stream(one.tokenIds()).boxed().toList())
                .toList());
    }

    @ParameterizedTest
    @EnumSource(names = {"BFLOAT16", "INT8", "INT4"})
    void together_inPieces_preempted_cachedAndDrafted_isBitForBitWhatItIsAlone(WeightType type) throws Exception {
        List<GenerationRequest> requests = requests();
        DollyOptions plain = DollyOptions.builder()
                .dtype(type)
                .prefixCache(false)
                .speculation(false)
                .build();
        List<List<List<?>>> alone = new ArrayList<>();
        try (Dolly dolly = Dolly.load(DemoQuestions.MODEL, plain)) {
            for (int i = 0; i < REQUESTS; i++) {
                alone.add(ask(dolly, i, requests.get(i)).get());
            }
        }
        DollyOptions.Builder everything = DollyOptions.builder().dtype(type).maxQueuedRequests(REQUESTS);
        DollyOptions crowded = everything
                .kvCacheTokens(KV_CACHE_TOKENS)
                .maxStepMillis(SHORT_STEP)
                .build();
        try (Dolly dolly = Dolly.load(DemoQuestions.MODEL, crowded)) {
            mostAtOnce(dolly, requests, alone);
            EngineMetrics metrics = dolly.metrics();
            assertThat(metrics.steps().preemptions()).isPositive();
            assertThat(metrics.tokens().foundTokens()).isPositive();
            assertThat(metrics.tokens().acceptedDraftTokens()).isPositive();
        }
        DollyOptions roomy =
                everything.kvCacheTokens(ROOM_FOR_64).maxStepMillis(60_000).build();
        try (Dolly dolly = Dolly.load(DemoQuestions.MODEL, roomy)) {
            assertThat(mostAtOnce(dolly, requests, alone))
                    .as("sequences at once")
                    .isGreaterThanOrEqualTo(60);
            assertThat(dolly.metrics().steps().preemptions()).isZero();
        }
    }

    /**
     * Asks all at once, in another order, and compares the answers; returns the most sequences that were seen to run
     * together.
     */
    private static long mostAtOnce(Dolly dolly, List<GenerationRequest> requests, List<List<List<?>>> alone)
            throws Exception {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < REQUESTS; i++) {
            order.add(i);
        }
        Collections.shuffle(order, new Random(12));
        List<CompletableFuture<List<List<?>>>> together = new ArrayList<>();
        for (int i : order) {
            together.add(ask(dolly, i, requests.get(i)));
        }
        long most = 0;
        for (int i = 0; i < REQUESTS; i++) {
            while (!together.get(i).isDone()) {
                most = Math.max(most, dolly.metrics().steps().sequences());
                Thread.sleep(1);
            }
            assertThat(together.get(i).get()).as("request %d", order.get(i)).isEqualTo(alone.get(order.get(i)));
        }
        return most;
    }
}
