package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.dolly4j.runtime.FakeDecoderSession;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenLogprobs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Scores of given continuations in the engine, beside other requests and with few blocks, against the fake model. */
@Timeout(60)
class ScoringEngineTest {
    private static final int VOCAB = 40;
    private static final int CONTEXT = 400;
    private static final int TOP = 2;

    private static int[] tokens(Random random, int length) {
        return random.ints(length, 0, VOCAB).toArray();
    }

    private static RequestSpec scoring(int[] prompt, List<int[]> continuations) {
        return RequestSpec.scoring(prompt, continuations, Optional.empty(), "", TOP);
    }

    private static RequestSpec random(Random random) {
        int[] prompt = tokens(random, 1 + random.nextInt(60));
        List<int[]> continuations = Stream.generate(() -> tokens(random, 1 + random.nextInt(50)))
                .limit(1 + random.nextInt(6))
                .toList();
        return scoring(prompt, continuations);
    }

    /** The log-probabilities on the fake model's function directly. */
    private static List<List<TokenLogprobs>> expected(RequestSpec spec) {
        Sampler sampler = new Sampler(SamplingOptions.greedy(), VOCAB, new int[0]);
        List<List<TokenLogprobs>> expected = new ArrayList<>();
        for (int[] continuation : spec.given()) {
            int[] all = IntStream.concat(Arrays.stream(spec.prompt()), Arrays.stream(continuation))
                    .toArray();
            List<TokenLogprobs> logprobs = new ArrayList<>();
            for (int i = spec.prompt().length; i < all.length; i++) {
                FloatBuffer logits = FloatBuffer.wrap(FakeDecoderSession.logitsAfter(all, i, VOCAB));
                logprobs.add(sampler.logprobs(logits, all[i], TOP));
            }
            expected.add(logprobs);
        }
        return expected;
    }

    private static List<List<TokenLogprobs>> scores(Request request) throws InterruptedException {
        List<List<TokenLogprobs>> scores = new ArrayList<>();
        for (int i = 0; i < request.spec().sequences(); i++) {
            scores.add(new ArrayList<>());
        }
        Event event = request.next();
        for (; !(event instanceof Event.Completed); event = request.next()) {
            assertThat(event).isInstanceOf(Event.Token.class);
            Event.Token token = (Event.Token) event;
            List<TokenLogprobs> sequence = scores.get(token.sequence());
            int[] given = request.spec().given().get(token.sequence());
            assertThat(token.token()).isEqualTo(given[sequence.size()]);
            sequence.add(token.logprobs().orElseThrow());
            assertThat(token.finish().isPresent()).isEqualTo(sequence.size() == given.length);
        }
        return scores;
    }

    private static void runAll(FakeDecoderSession session, EngineOptions options) throws InterruptedException {
        Random random = new Random(session.blockCount());
        try (Engine engine = new Engine("scores", session, CONTEXT, 2, options)) {
            int blocks = engine.availableBlocks();
            List<Request> running = new ArrayList<>();
            for (int i = 0; i < 60; i++) {
                running.add(engine.submit(random(random)));
                engine.submit(new TestSpec(tokens(random, 1 + random.nextInt(30)), 20)
                        .seed(i)
                        .build());
            }
            for (Request request : running) {
                assertThat(scores(request)).isEqualTo(expected(request.spec()));
            }
            assertThat(engine.drain(Duration.ofSeconds(30))).isTrue();
            assertThat(engine.availableBlocks()).isEqualTo(blocks);
        }
    }

    @Test
    void scoresAreThoseOfTheModelAlone_besideOtherRequests() throws InterruptedException {
        runAll(new FakeDecoderSession(VOCAB, 400, 64, 32), EngineOptions.DEFAULT);
    }

    @Test
    void scoresAreTheSame_whereSequencesHaveToGiveUpTheirBlocks() throws InterruptedException {
        runAll(new FakeDecoderSession(VOCAB, 12, 16, 6), EngineOptions.DEFAULT);
    }

    @Test
    void scoresAreTheSame_withoutCacheAndSpeculation() throws InterruptedException {
        runAll(new FakeDecoderSession(VOCAB, 100, 32, 8), new EngineOptions(1000, Duration.ofSeconds(1), false, false));
    }

    @Test
    void continuations_areReadManyTokensAStep_andThePromptOnce() throws InterruptedException {
        FakeDecoderSession session = new FakeDecoderSession(VOCAB, 400, 64, 64);
        Random random = new Random(1);
        EngineOptions options = new EngineOptions(1000, Duration.ofSeconds(1), true, false);
        try (Engine engine = new Engine("scores", session, CONTEXT, 1, options)) {
            Request request = engine.submit(
                    scoring(tokens(random, 60), List.of(tokens(random, 60), tokens(random, 60), tokens(random, 60))));
            assertThat(scores(request)).isEqualTo(expected(request.spec()));
        }
        // One for the prompt; 3 x 59 rows behind it, 64 a step.
        assertThat(session.steps()).isBetween(4, 6);
    }

    @Test
    void drafts_andGivenTokens_areCountedApart() throws InterruptedException {
        try (Engine engine =
                new Engine("scores", new FakeDecoderSession(VOCAB, 100, 64, 32), CONTEXT, 1, EngineOptions.DEFAULT)) {
            Request request = engine.submit(scoring(new int[] {1, 2, 1, 2, 1}, List.of(new int[] {2, 1, 2, 1, 2, 1})));
            assertThat(scores(request)).isEqualTo(expected(request.spec()));
            assertThat(engine.counters().draftTokens()).isZero();
        }
    }

    @Test
    void whatCannotBeScored_isRefused() {
        try (Engine engine =
                new Engine("scores", new FakeDecoderSession(VOCAB, 100, 64, 32), CONTEXT, 1, EngineOptions.DEFAULT)) {
            RequestSpec spec = scoring(new int[] {1}, List.of(new int[] {2}, new int[] {VOCAB}));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> engine.submit(spec))
                    .withMessageContaining("A continuation holds token 40");
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> scoring(new int[] {1}, List.of(new int[0])))
                .withMessageContaining("no tokens");
        assertThatIllegalArgumentException().isThrownBy(() -> scoring(new int[] {1}, List.of()));
    }
}
