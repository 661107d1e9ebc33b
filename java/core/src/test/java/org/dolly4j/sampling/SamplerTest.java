package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.management.ManagementFactory;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.dolly4j.BackendException;
import org.dolly4j.DollyException;
import org.junit.jupiter.api.Test;

class SamplerTest {
    private static final float IMPOSSIBLE = Float.NEGATIVE_INFINITY;
    private static final int[] HISTORY = {1, 2};

    @Test
    void greedy_takesTheLowestIdOfTheBest() {
        assertThat(sample(SamplingOptions.greedy(), 1, 3, 0, 3)).isEqualTo(1);
    }

    @Test
    void greedy_ignoresWhatIsForSamplingOnly() {
        SamplingOptions options = SamplingOptions.builder()
                .temperature(1e-30)
                .topK(1)
                .typicalP(0.01)
                .build();

        assertThat(new Sampler(options, 4, new int[0]).processorNames()).isEmpty();
        assertThat(sample(options, 1, 0, 30, 2)).isEqualTo(2);
    }

    @Test
    void rows_startAtTheBuffersPosition_andStayAsTheyAre() {
        FloatBuffer logits = FloatBuffer.wrap(new float[] {9, 9, 1, 2, 3, 9}).position(2);
        Sampler sampler =
                new Sampler(SamplingOptions.builder().repetitionPenalty(5).build(), 3, new int[0]);

        assertThat(sampler.sample(logits, HISTORY, 2, 1, 0)).isZero();
        assertThat(logits.position()).isEqualTo(2);
        assertThat(logits.array()).containsExactly(9, 9, 1, 2, 3, 9);
    }

    @Test
    void impossibleTokens_areNeverDrawn() {
        List<SamplingOptions> all = List.of(
                SamplingOptions.builder().doSample(true).build(),
                SamplingOptions.builder().doSample(true).topK(4).build(),
                SamplingOptions.builder().doSample(true).topK(1000).build(),
                SamplingOptions.builder().doSample(true).topP(0.999999).build(),
                SamplingOptions.builder().doSample(true).minP(1e-300).build(),
                SamplingOptions.builder().doSample(true).typicalP(0.999999).build(),
                SamplingOptions.builder().doSample(true).epsilonCutoff(1e-300).build(),
                SamplingOptions.builder().doSample(true).etaCutoff(1e-300).build());
        for (SamplingOptions options : all) {
            Sampler sampler = new Sampler(options, 6, new int[0]);
            FloatBuffer logits =
                    FloatBuffer.wrap(new float[] {IMPOSSIBLE, 0, IMPOSSIBLE, 0.5f, IMPOSSIBLE, IMPOSSIBLE});

            assertThat(sampler.distribution(logits, HISTORY, 2, 1).ids())
                    .as("%s", options)
                    .containsExactly(1, 3);
            for (int seed = 0; seed < 1000; seed++) {
                assertThat(sampler.sample(logits, HISTORY, 2, 1, seed))
                        .as("%s", options)
                        .isIn(1, 3);
            }
        }
    }

    @Test
    void bestToken_staysWhateverTheFilter() {
        SamplingOptions options = SamplingOptions.builder()
                .doSample(true)
                .topK(1)
                .topP(0)
                .minP(1)
                .epsilonCutoff(0.99)
                .etaCutoff(0.99)
                .build();

        assertThat(sample(options, 0.1f, 0.3f, 0.2f)).isEqualTo(1);
    }

    @Test
    void logitsThatAreNotFinite_areAnError() {
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
            for (SamplingOptions options : List.of(SamplingOptions.greedy(), SamplingOptions.dolly())) {
                assertThatExceptionOfType(BackendException.class)
                        .isThrownBy(() -> sample(options, 1, bad, 2))
                        .withMessageStartingWith("logits are not finite: that of token 1 is " + bad);
            }
        }
        assertThatExceptionOfType(BackendException.class)
                .isThrownBy(() -> sample(SamplingOptions.dolly(), IMPOSSIBLE, IMPOSSIBLE))
                .withMessageStartingWith("logits are not finite: all 2 are -Infinity");
    }

    @Test
    void optionsThatBanEveryToken_areAnErrorThatNamesThem() {
        SamplingOptions options =
                SamplingOptions.builder().suppressTokens(List.of(0, 1)).build();

        assertThatExceptionOfType(DollyException.class)
                .isThrownBy(() -> sample(options, 1, 2))
                .withMessageContaining("leave no token")
                .withMessageContaining("suppressTokens=[0, 1]");
    }

    @Test
    void optionsThatMakeScoresOverflow_areAnErrorThatNamesThem() {
        SamplingOptions options =
                SamplingOptions.builder().doSample(true).temperature(1e-45).build();

        assertThatExceptionOfType(DollyException.class)
                .isThrownBy(() -> sample(options, 1, 2))
                .withMessageContaining("2.0, overflows")
                .withMessageContaining("temperature = 1.0E-45");
    }

    @Test
    void overflowOfNegativeLogits_isToldFromBans() {
        SamplingOptions cold = SamplingOptions.builder()
                .doSample(true)
                .temperature(1e-45)
                .suppressTokens(List.of(0))
                .build();
        SamplingOptions penalty =
                SamplingOptions.builder().repetitionPenalty(1e38).build();

        assertThatExceptionOfType(DollyException.class)
                .isThrownBy(() -> sample(cold, -1, -2, -3))
                .withMessageContaining("-2.0, overflows with temperature = 1.0E-45");
        assertThatExceptionOfType(DollyException.class)
                .isThrownBy(() -> new Sampler(penalty, 2, new int[0])
                        .sample(FloatBuffer.wrap(new float[] {-20, -30}), new int[] {0, 1}, 2, 2, 0))
                .withMessageContaining("-20.0, overflows")
                .withMessageContaining("repetitionPenalty = 1.0E38");
        assertThatExceptionOfType(DollyException.class)
                .isThrownBy(() -> sample(cold, -1, Float.NEGATIVE_INFINITY))
                .withMessageContaining("Ban fewer tokens");
    }

    @Test
    void wrongSizes_areRefused() {
        Sampler sampler = new Sampler(SamplingOptions.greedy(), 3, new int[0]);
        FloatBuffer row = FloatBuffer.allocate(3);

        assertThatIllegalArgumentException()
                .isThrownBy(() -> sampler.sample(FloatBuffer.allocate(2), HISTORY, 2, 1, 0))
                .withMessageContaining("3 floats")
                .withMessageContaining("holds 2");
        assertThatIllegalArgumentException().isThrownBy(() -> sampler.sample(row, HISTORY, 3, 1, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> sampler.sample(row, HISTORY, 1, 2, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> sampler.sample(row, HISTORY, 1, -1, 0));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Sampler(SamplingOptions.greedy(), 0, new int[0]))
                .withMessageContaining("vocabSize = 0");
    }

    @Test
    void aSeed_givesTheSameTokens_alone_andBesideOthers() {
        int vocabSize = 3000;
        Random random = new Random(5);
        FloatBuffer[] rows = new FloatBuffer[4];
        for (int row = 0; row < rows.length; row++) {
            rows[row] = FloatBuffer.allocate(vocabSize);
            for (int id = 0; id < vocabSize; id++) {
                rows[row].put(id, (float) (2 * random.nextGaussian()));
            }
        }
        Candidates shared = new Candidates(vocabSize);
        List<SamplingOptions> options = List.of(
                SamplingOptions.dolly(),
                SamplingOptions.greedy(),
                SamplingOptions.builder().doSample(true).topK(40).build(),
                SamplingOptions.builder().doSample(true).typicalP(0.9).build());
        List<Sampler> together = options.stream()
                .map(option -> new Sampler(option, new int[0], 1, shared))
                .toList();
        int[] history = new int[100];

        for (int length = 1; length <= history.length; length++) {
            for (int row = 0; row < rows.length; row++) {
                int inBatch = together.get(row).sample(rows[row], history, length, 1, 77 + row);
                int alone = new Sampler(options.get(row), vocabSize, new int[0])
                        .sample(rows[row], history, length, 1, 77 + row);
                assertThat(inBatch).isEqualTo(alone);
            }
        }
    }

    @Test
    void drawnTokens_areTheSameOnEveryMachine() {
        int vocabSize = 1000;
        FloatBuffer logits = FloatBuffer.allocate(vocabSize);
        for (int id = 0; id < vocabSize; id++) {
            logits.put(id, (id * 7919 % 1000) / 100f);
        }
        Sampler sampler = new Sampler(SamplingOptions.dolly(), vocabSize, new int[0]);
        int[] history = new int[12];

        int[] drawn = IntStream.range(0, history.length)
                .map(length -> sampler.sample(logits, history, length, 0, 42))
                .toArray();

        assertThat(drawn).containsExactly(607, 988, 829, 730, 321, 311, 235, 348, 556, 272, 531, 322);
    }

    @Test
    void sampling_allocatesNothingPerToken() {
        int vocabSize = 50_280;
        FloatBuffer logits = FloatBuffer.allocate(vocabSize);
        Random random = new Random(6);
        for (int id = 0; id < vocabSize; id++) {
            logits.put(id, (float) (3 * random.nextGaussian()));
        }
        SamplingOptions options = SamplingOptions.builder()
                .doSample(true)
                .repetitionPenalty(1.1)
                .noRepeatNgramSize(3)
                .badWordsIds(List.of(List.of(1, 2)))
                .minNewTokens(5)
                .suppressTokens(List.of(3))
                .beginSuppressTokens(List.of(4))
                .temperature(0.9)
                .topK(1000)
                .topP(0.95)
                .minP(0.001)
                .typicalP(0.99)
                .epsilonCutoff(1e-6)
                .etaCutoff(1e-6)
                .renormalizeLogits(true)
                .build();
        Sampler sampler = new Sampler(options, vocabSize, new int[] {0});
        int[] history = random.ints(512, 0, vocabSize).toArray();
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        long self = Thread.currentThread().getId();
        int tokens = 200;
        long allocated = 0;
        for (int round = 0; round < 2; round++) {
            long before = threads.getThreadAllocatedBytes(self);
            for (int seed = 0; seed < tokens; seed++) {
                sampler.sample(logits, history, history.length, history.length - 1, seed);
            }
            allocated = threads.getThreadAllocatedBytes(self) - before;
        }

        assertThat(allocated / tokens).isLessThan(100);
    }

    private static int sample(SamplingOptions options, float... logits) {
        return new Sampler(options, logits.length, new int[0])
                .sample(FloatBuffer.wrap(logits), HISTORY, HISTORY.length, 1, 0);
    }
}
