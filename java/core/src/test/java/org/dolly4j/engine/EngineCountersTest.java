package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.dolly4j.EngineOverloadedException;
import org.dolly4j.runtime.FakeDecoderSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EngineCountersTest {
    private static final int VOCAB = 97;
    private static final int CONTEXT = 160;
    private static final int THREADS = 2;

    private static Engine engine(FakeDecoderSession session) {
        return new Engine("test", session, CONTEXT, THREADS, EngineOptions.DEFAULT);
    }

    private static FakeDecoderSession session(int blocks) {
        return new FakeDecoderSession(VOCAB, blocks, 24, 8);
    }

    private static TestSpec prompt(int promptLength, int sequences, int maxNewTokens) {
        int[] prompt = new Random(promptLength).ints(promptLength, 0, VOCAB).toArray();
        return new TestSpec(prompt, maxNewTokens).sequences(sequences).seed(1);
    }

    private static RequestSpec spec(int promptLength, int sequences, int maxNewTokens) {
        return prompt(promptLength, sequences, maxNewTokens).build();
    }

    private static void awaitEnd(Request request) throws InterruptedException {
        Event event = request.next();
        while (!(event instanceof Event.Completed || event instanceof Event.Failed)) {
            event = request.next();
        }
    }

    /** Waits until a step waits for its permit, and so everything before it has happened. */
    private static void awaitStep(FakeDecoderSession session, int step) throws InterruptedException {
        while (session.steps() < step) {
            Thread.sleep(1);
        }
    }

    @Test
    void stepsTokensAndTimes_areCounted() throws Exception {
        try (Engine engine = engine(session(40))) {
            awaitEnd(engine.submit(spec(20, 4, 10)));
            EngineCounters counters = engine.counters();
            assertThat(counters.steps()).isEqualTo(1 + 9);
            assertThat(counters.rows()).isEqualTo(20 + 9 * 4 + counters.draftTokens());
            assertThat(counters.acceptedDraftTokens()).isZero();
            assertThat(counters.promptRows()).isEqualTo(20);
            assertThat(counters.generatedTokens()).isEqualTo(40);
            assertThat(counters.tokensPerSecond()).isPositive();
            assertThat(counters.ended(Ending.COMPLETED)).isEqualTo(1);
            assertThat(counters.running()).isZero();
            assertThat(counters.stepTimes().count()).isEqualTo(10);
            assertThat(counters.queueTimes().count()).isEqualTo(1);
            assertThat(counters.firstTokenTimes().count()).isEqualTo(1);
            assertThat(counters.tokenTimes().count())
                    .as("between the 10 of each of 4")
                    .isEqualTo(9 * 4);
        }
    }

    @Test
    void times_areThoseOfTheSession() throws Exception {
        FakeDecoderSession session = session(40).withTimePerRow(Duration.ofMillis(2));
        try (Engine engine = engine(session)) {
            awaitEnd(engine.submit(spec(10, 1, 5)));
            EngineCounters counters = engine.counters();
            assertThat(counters.stepTimes().sum()).isGreaterThanOrEqualTo(Duration.ofMillis(2 * 14));
            assertThat(counters.stepTimes().max()).isGreaterThanOrEqualTo(Duration.ofMillis(20));
            assertThat(counters.firstTokenTimes().max()).isGreaterThanOrEqualTo(Duration.ofMillis(20));
            assertThat(counters.tokenTimes().quantile(0)).isGreaterThanOrEqualTo(Duration.ofMillis(1));
        }
    }

    @Test
    void prefixThatIsCached_countsAsFound_andIsNotReadAgain() throws Exception {
        try (Engine engine = engine(session(40))) {
            awaitEnd(engine.submit(spec(20, 1, 1)));
            EngineCounters counters = engine.counters();
            assertThat(counters.keptBlocks()).isEqualTo(1);
            assertThat(counters.usedBlocks()).isZero();
            assertThat(counters.lookedUpTokens()).isEqualTo(20);
            assertThat(counters.foundTokens()).isZero();
            awaitEnd(engine.submit(spec(20, 1, 1)));
            assertThat(counters.lookedUpTokens()).isEqualTo(40);
            assertThat(counters.foundTokens()).isEqualTo(16);
            assertThat(counters.promptRows()).isEqualTo(20 + 4);
        }
    }

    @Test
    void requests_areWaitingThenRunningThenEnded() throws Exception {
        FakeDecoderSession session = new FakeDecoderSession(VOCAB, 40, 24, 1).gated();
        Engine engine = engine(session);
        EngineCounters counters = engine.counters();
        Request first = engine.submit(spec(20, 1, 2));
        Request second = engine.submit(spec(3, 1, 30));
        Request third = engine.submit(spec(3, 1, 30));
        awaitStep(session, 1);
        assertThat(counters.running()).isEqualTo(1);
        assertThat(counters.waiting()).isEqualTo(2);
        assertThat(counters.sequences()).isEqualTo(1);
        assertThat(counters.usedBlocks()).isEqualTo(2);
        third.cancel();
        assertThat(counters.waiting()).isEqualTo(1);
        assertThat(counters.ended(Ending.CANCELLED)).isEqualTo(1);
        session.letRun(2);
        awaitEnd(first);
        assertThat(counters.ended(Ending.COMPLETED)).isEqualTo(1);
        awaitStep(session, 3);
        assertThat(counters.running()).isEqualTo(1);
        assertThat(counters.waiting()).isZero();
        engine.close();
        awaitEnd(second);
        assertThat(counters.ended(Ending.FAILED)).as("the engine was closed").isEqualTo(1);
        assertThat(counters.running()).isZero();
        assertThat(counters.sequences()).isZero();
        assertThat(counters.usedBlocks()).isZero();
        assertThat(counters.generatedTokens()).as("stay after close").isEqualTo(2);
    }

    @Test
    void cancelledWhileItRuns_isCounted() throws Exception {
        FakeDecoderSession session = session(40).gated();
        try (Engine engine = engine(session)) {
            Request request = engine.submit(spec(3, 1, 30));
            awaitStep(session, 1);
            request.cancel();
            session.letRun(1);
            awaitEnd(request);
            assertThat(engine.counters().ended(Ending.CANCELLED)).isEqualTo(1);
            assertThat(engine.counters().running()).isZero();
            assertThat(engine.counters().queueTimes().count()).isEqualTo(1);
        }
    }

    @Test
    void deadlinesAndFailures_areCounted() throws Exception {
        FakeDecoderSession session = session(40);
        try (Engine engine = engine(session)) {
            awaitEnd(engine.submit(prompt(3, 1, 30).deadline(Duration.ZERO).build()));
            assertThat(engine.counters().ended(Ending.DEADLINE)).isEqualTo(1);
            session.failNextStep();
            awaitEnd(engine.submit(spec(3, 1, 30)));
            assertThat(engine.counters().ended(Ending.FAILED)).isEqualTo(1);
            assertThat(engine.counters().waiting() + engine.counters().running())
                    .isZero();
        }
    }

    @Test
    void refusedRequests_countAsRejected_andNowhereElse() {
        FakeDecoderSession session = session(40).gated();
        try (Engine engine = new Engine(
                "test", session, CONTEXT, THREADS, new EngineOptions(2, Duration.ofMillis(200), true, true))) {
            engine.submit(spec(3, 1, 30));
            engine.submit(spec(3, 1, 30));
            int refused = 0;
            while (refused < 3) {
                try {
                    engine.submit(spec(3, 1, 30));
                } catch (EngineOverloadedException e) {
                    refused++;
                }
            }
            EngineCounters counters = engine.counters();
            assertThat(counters.rejected()).isEqualTo(3);
            for (Ending ending : Ending.values()) {
                assertThat(counters.ended(ending)).isZero();
            }
        }
    }

    @Test
    void preemptions_areCounted() throws Exception {
        try (Engine engine = engine(session(11))) {
            Request first = engine.submit(spec(40, 2, 60));
            Request second = engine.submit(spec(41, 2, 60));
            awaitEnd(first);
            awaitEnd(second);
            assertThat(engine.counters().preemptions()).isPositive();
            // How much of the prompts is read again hangs on how many of their blocks were still in the cache.
            assertThat(engine.counters().promptRows()).isGreaterThanOrEqualTo(40 + 41);
            assertThat(engine.counters().generatedTokens()).isEqualTo(4 * 60);
        }
    }

    /** A step counts once, has 3 rows and one time: at every moment, whatever is written meanwhile. */
    @Test
    void numbersReadTogether_areOfOneMoment() throws Exception {
        EngineCounters counters = new EngineCounters(1);
        AtomicBoolean enough = new AtomicBoolean();
        Thread writer = new Thread(() -> {
            while (!enough.get()) {
                for (int i = 0; i < 20; i++) {
                    counters.stepEnded(3, 1, 5);
                }
                // An engine does not write all the time, and a reader needs a moment without a write.
                LockSupport.parkNanos(50_000);
            }
        });
        writer.start();
        try {
            long before = 0;
            for (int i = 0; i < 20_000; i++) {
                long[] read = counters.consistently(() -> new long[] {
                    counters.steps(), counters.rows(), counters.stepTimes().count(), counters.promptRows()
                });
                assertThat(read).containsExactly(read[0], 3 * read[0], read[0], read[0]);
                assertThat(read[0]).isGreaterThanOrEqualTo(before);
                before = read[0];
            }
        } finally {
            enough.set(true);
            writer.join();
        }
    }

    @Test
    void whatReadingThrows_isThrown() {
        IllegalStateException thrown = new IllegalStateException("deliberate");
        assertThatThrownBy(() -> new EngineCounters(1).consistently(() -> {
                    throw thrown;
                }))
                .isSameAs(thrown);
    }
}
