package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import org.dolly4j.ContextLengthException;
import org.dolly4j.runtime.FakeDecoderSession;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamOptions.EarlyStopping;
import org.dolly4j.sampling.BeamSearch;
import org.dolly4j.sampling.Sampler;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Beam search in the engine, beside other requests and with few blocks, against the search without an engine. */
@Timeout(60)
class BeamEngineTest {
    private static final int VOCAB = 40;
    private static final int CONTEXT = 1000;

    private static int[] prompt(int length) {
        return new Random(length).ints(length, 0, VOCAB).toArray();
    }

    private static RequestSpec random(Random random) {
        int beams = 1 + random.nextInt(5);
        EarlyStopping[] stoppings = EarlyStopping.values();
        return new TestSpec(prompt(1 + random.nextInt(60)), 1 + random.nextInt(40))
                .beams(new BeamOptions(beams, random.nextInt(3) - 1, stoppings[random.nextInt(stoppings.length)]))
                .sequences(1 + random.nextInt(beams))
                .endIds(random.ints(random.nextInt(3), 0, VOCAB).toArray())
                .build();
    }

    /** The search on the fake model's function directly, without cache, chunks or batches. */
    private static List<List<Integer>> expected(RequestSpec spec) {
        BeamSearch search = new BeamSearch(spec.beams().orElseThrow(), spec.maxNewTokens(), spec.endIds().length);
        Sampler sampler = new Sampler(spec.sampling(), VOCAB, spec.endIds());
        List<int[]> beams = List.of(spec.prompt());
        while (!beams.isEmpty()) {
            List<List<BeamSearch.Continuation>> continuations = new ArrayList<>();
            for (int[] beam : beams) {
                FloatBuffer logits = FloatBuffer.wrap(FakeDecoderSession.logitsAfter(beam, beam.length, VOCAB));
                continuations.add(sampler.continuations(
                        logits,
                        beam,
                        beam.length,
                        spec.prompt().length,
                        search.continuationsNeeded(),
                        OptionalInt.empty()));
            }
            List<int[]> before = beams;
            beams =
                    search
                            .advance(continuations, (beam, token) -> Arrays.stream(spec.endIds())
                                    .anyMatch(id -> id == token))
                            .stream()
                            .map(successor -> {
                                int[] parent = before.get(successor.parent());
                                int[] longer = Arrays.copyOf(parent, parent.length + 1);
                                longer[parent.length] = successor.token();
                                return longer;
                            })
                            .toList();
        }
        return search.answers(spec.sequences()).stream()
                .map(answer -> Arrays.stream(answer.tokens()).boxed().toList())
                .toList();
    }

    private static List<List<Integer>> answers(Request request) throws InterruptedException {
        List<List<Integer>> answers = new ArrayList<>();
        for (int i = 0; i < request.spec().sequences(); i++) {
            answers.add(new ArrayList<>());
        }
        Event event = request.next();
        for (; !(event instanceof Event.Completed); event = request.next()) {
            assertThat(event).isNotInstanceOf(Event.Failed.class);
            if (event instanceof Event.Token token) {
                answers.get(token.sequence()).add(token.token());
            }
        }
        return answers;
    }

    private static Engine engine(FakeDecoderSession session) {
        return new Engine("beams", session, CONTEXT, 2, EngineOptions.DEFAULT);
    }

    private static void runAll(FakeDecoderSession session, int requests) throws InterruptedException {
        Random random = new Random(requests);
        try (Engine engine = engine(session)) {
            int blocks = engine.availableBlocks();
            List<Request> running = new ArrayList<>();
            for (int i = 0; i < requests; i++) {
                RequestSpec spec = random(random);
                if (Scheduler.leastBlocks(spec) <= blocks) {
                    running.add(engine.submit(spec));
                    engine.submit(new TestSpec(prompt(1 + random.nextInt(30)), 20)
                            .seed(i)
                            .build());
                }
            }
            assertThat(running).hasSizeGreaterThan(requests / 4);
            for (Request request : running) {
                assertThat(answers(request)).isEqualTo(expected(request.spec()));
            }
            assertThat(engine.drain(Duration.ofSeconds(30))).isTrue();
            assertThat(engine.availableBlocks()).isEqualTo(blocks);
        }
    }

    @Test
    void answersAreThoseOfTheSearchAlone_besideOtherRequests() throws InterruptedException {
        runAll(new FakeDecoderSession(VOCAB, 400, 64, 32), 60);
    }

    @Test
    void answersAreTheSame_whereBeamsHaveToGiveUpTheirBlocks() throws InterruptedException {
        runAll(new FakeDecoderSession(VOCAB, 24, 16, 6), 60);
    }

    @Test
    void searchesOfAsManyBlocksAsThereAre_endBesideOtherRequests() throws InterruptedException {
        for (int seed = 0; seed < 150; seed++) {
            Random random = new Random(seed);
            int beams = 2 + random.nextInt(9);
            RequestSpec search = new TestSpec(prompt(1 + random.nextInt(200)), 1 + random.nextInt(70))
                    .beams(new BeamOptions(beams, 1, EarlyStopping.NEVER))
                    .sequences(beams)
                    .build();
            int blocks = Scheduler.leastBlocks(search);
            FakeDecoderSession session =
                    new FakeDecoderSession(VOCAB, blocks, 16 + random.nextInt(500), beams + random.nextInt(3));
            EngineOptions options = new EngineOptions(100, Duration.ofSeconds(1), random.nextBoolean(), true);
            try (Engine engine = new Engine("beams " + seed, session, CONTEXT, 1, options)) {
                List<Request> searches = new ArrayList<>();
                for (int i = 0; i < 3; i++) {
                    int most = blocks * 16;
                    int length = 1 + random.nextInt(Math.min(most - 1, 300));
                    engine.submit(new TestSpec(prompt(length), 1 + random.nextInt(Math.min(most - length, 300)))
                            .seed(i)
                            .build());
                    searches.add(engine.submit(search));
                }
                List<List<Integer>> expected = expected(search);
                for (Request request : searches) {
                    assertThat(answers(request)).as("seed " + seed).isEqualTo(expected);
                }
                assertThat(engine.drain(Duration.ofSeconds(30))).isTrue();
                assertThat(engine.availableBlocks()).isEqualTo(blocks);
            }
        }
    }

    @Test
    void cancelledSearch_givesItsBlocksBack() throws InterruptedException {
        FakeDecoderSession session = new FakeDecoderSession(VOCAB, 100, 64, 32).gated();
        try (Engine engine = engine(session)) {
            int blocks = engine.availableBlocks();
            Request request = engine.submit(new TestSpec(prompt(40), 100)
                    .beams(BeamOptions.of(4))
                    .sequences(2)
                    .build());
            session.letRun(10);
            request.cancel();
            session.letRun(1000);
            int ends = 0;
            for (Event event = request.next(); !(event instanceof Event.Completed); event = request.next()) {
                ends += event instanceof Event.SequenceEnd end && end.finish() == Finish.CANCELLED ? 1 : 0;
            }
            assertThat(ends).isEqualTo(2);
            assertThat(engine.drain(Duration.ofSeconds(30))).isTrue();
            assertThat(engine.availableBlocks()).isEqualTo(blocks);
        }
    }

    @Test
    void searchThatCannotFit_isRefused() {
        try (Engine engine = engine(new FakeDecoderSession(VOCAB, 20, 64, 4))) {
            assertThatThrownBy(() -> engine.submit(new TestSpec(prompt(40), 100)
                            .beams(BeamOptions.of(4))
                            .build()))
                    .isInstanceOf(ContextLengthException.class)
                    .hasMessageContaining("fewer tokens or beams");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> engine.submit(
                            new TestSpec(prompt(4), 4).beams(BeamOptions.of(5)).build()))
                    .withMessageContaining("beams = 5 must be at most 4");
        }
    }
}
