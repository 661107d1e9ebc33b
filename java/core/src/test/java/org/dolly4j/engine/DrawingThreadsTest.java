package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadFactory;
import java.util.stream.IntStream;
import org.dolly4j.BackendException;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class DrawingThreadsTest {
    private static final int VOCAB = 20_000;
    private static final int SEQUENCES = 24;
    private static final int PROMPT_LENGTH = 4;
    private static final SamplingOptions OPTIONS =
            SamplingOptions.dolly().toBuilder().repetitionPenalty(1.3).build();

    private final FloatBuffer logits = logits();
    private final Set<Thread> made = ConcurrentHashMap.newKeySet();

    private static FloatBuffer logits() {
        Random random = new Random(1);
        FloatBuffer rows = FloatBuffer.allocate(SEQUENCES * VOCAB);
        for (int i = 0; i < rows.capacity(); i++) {
            rows.put(i, (float) (3 * random.nextGaussian()));
        }
        return rows;
    }

    private Thread make(Runnable task) {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        made.add(thread);
        return thread;
    }

    /** Of requests of two sequences each, in an order that parts them. */
    private static List<Drawing> drawings() {
        EngineRecorder recorder = new EngineRecorder("test", 1);
        BlockPool pool = new BlockPool(1, false);
        List<Drawing> drawings = new ArrayList<>();
        List<Drawing> second = new ArrayList<>();
        for (int i = 0; i < SEQUENCES / 2; i++) {
            RequestSpec spec = new TestSpec(new int[] {1, 2, 3, i}, 2)
                    .sequences(2)
                    .sampling(OPTIONS)
                    .seed(i)
                    .build();
            Sampler sampler = new Sampler(OPTIONS, VOCAB, spec.endIds());
            Request request = new Request(spec, recorder.newRequest(spec), sampler, cancelled -> {});
            SequenceGroup group = new SequenceGroup(spec, i, "");
            drawings.add(new Drawing(request, Sequence.of(group, 0, pool), i, 0));
            second.add(new Drawing(request, Sequence.of(group, 1, pool), SEQUENCES / 2 + i, 0));
        }
        drawings.addAll(second);
        return drawings;
    }

    private List<Integer> drawn(DrawingThreads threads) throws Throwable {
        List<Drawing> drawings = drawings();
        threads.draw(drawings, logits);
        List<Integer> tokens = new ArrayList<>();
        for (Drawing drawing : drawings) {
            tokens.add(drawing.get(0).token());
        }
        return tokens;
    }

    private List<Integer> drawnAlone() {
        return IntStream.range(0, SEQUENCES)
                .map(i -> {
                    Drawing drawing = drawings().get(i);
                    Sequence sequence = drawing.sequence();
                    return new Sampler(OPTIONS, VOCAB, new int[0])
                            .sample(
                                    logits.duplicate().position(i * VOCAB),
                                    sequence.tokens(),
                                    PROMPT_LENGTH,
                                    PROMPT_LENGTH,
                                    drawing.request().spec().seedOf(sequence.index()));
                })
                .boxed()
                .toList();
    }

    @Test
    void severalThreads_drawWhatOneDraws() throws Throwable {
        List<Integer> alone = drawnAlone();
        for (int threads : new int[] {1, 2, 4, 100}) {
            try (DrawingThreads several = new DrawingThreads(threads, VOCAB, this::make)) {
                for (int round = 0; round < 50; round++) {
                    assertThat(drawn(several)).isEqualTo(alone);
                }
            }
        }
        assertThat(made).isNotEmpty();
        for (Thread thread : made) {
            thread.join();
        }
    }

    @Test
    void withoutThreadsToBeHad_theCallerDrawsAll() throws Throwable {
        ThreadFactory none = task -> {
            throw new OutOfMemoryError("unable to create native thread");
        };
        for (ThreadFactory factory : List.of(none, (ThreadFactory) task -> null)) {
            try (DrawingThreads alone = new DrawingThreads(4, VOCAB, factory)) {
                assertThat(drawn(alone)).isEqualTo(drawnAlone());
            }
        }
    }

    @Test
    void whatBreaksADrawingOff_isThrownWhereItsTokenIsTaken() throws Throwable {
        int fourth = drawnAlone().get(4);
        logits.put(3 * VOCAB + 7, Float.NaN);
        List<Drawing> drawings = drawings();
        try (DrawingThreads threads = new DrawingThreads(4, VOCAB, this::make)) {
            threads.draw(drawings, logits);
        }

        assertThatThrownBy(() -> drawings.get(3).get(0)).isInstanceOf(BackendException.class);
        assertThat(drawings.get(4).get(0).token()).isEqualTo(fourth);
    }

    @Test
    void workspaceOfAnotherVocabulary_isRefused() {
        Sampler sampler = new Sampler(OPTIONS, VOCAB, new int[0]);

        assertThatThrownBy(() -> sampler.workIn(new Candidates(VOCAB + 1)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("20001");
    }
}
