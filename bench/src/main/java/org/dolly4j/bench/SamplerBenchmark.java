package org.dolly4j.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenDistribution;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time to choose a token from a row of {@value #VOCAB_SIZE} logits, one thread, a step of {@value #ROWS} different rows
 * at a time. Run with {@code -prof gc} for the bytes allocated per token.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 8, time = 1)
@Fork(2)
public class SamplerBenchmark {
    static final int ROWS = 32;
    static final int VOCAB_SIZE = 50_280;
    private static final int EOS_ID = 50_277;
    private static final int HISTORY_LENGTH = 512;

    /** Between two orders of summing some ten thousand probabilities in float64. */
    private static final double TOLERANCE = 1e-12;

    /** Which options. */
    public enum Options {
        GREEDY(SamplingOptions.greedy()),
        DOLLY(SamplingOptions.dolly()),
        UNFILTERED(SamplingOptions.builder().doSample(true).build()),
        TOP_K_50(SamplingOptions.builder().doSample(true).topK(50).build()),
        TYPICAL(SamplingOptions.builder().doSample(true).typicalP(0.95).build()),
        /** Several processors at once, as a chat server might set them. */
        CHAIN(SamplingOptions.builder()
                .doSample(true)
                .repetitionPenalty(1.1)
                .noRepeatNgramSize(3)
                .temperature(0.7)
                .topK(50)
                .topP(0.9)
                .build());

        final SamplingOptions options;

        Options(SamplingOptions options) {
            this.options = options;
        }
    }

    /** Shape of the distribution. */
    public enum Logits {
        /** Zipf's law with noise, as a language model's: a few hundred tokens hold nearly all probability. */
        LANGUAGE,
        /** Nearly uniform, as an untrained model's: the filters keep tens of thousands. */
        FLAT
    }

    @Param
    Options options;

    @Param
    Logits logits;

    private final FloatBuffer[] rows = new FloatBuffer[ROWS];
    private final int[] history = new int[HISTORY_LENGTH];
    private Sampler sampler;
    private long seed;

    /** Makes the logits, and checks what the options keep and choose against the plain definition before timing. */
    @Setup
    public void prepare() {
        Random random = new Random(17);
        for (int row = 0; row < ROWS; row++) {
            List<Integer> ranks =
                    new ArrayList<>(IntStream.rangeClosed(1, VOCAB_SIZE).boxed().toList());
            Collections.shuffle(ranks, random);
            rows[row] = ByteBuffer.allocateDirect(VOCAB_SIZE * Float.BYTES)
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            for (int id = 0; id < VOCAB_SIZE; id++) {
                double trend = logits == Logits.LANGUAGE ? 10 - 1.5 * Math.log(ranks.get(id)) : 0;
                rows[row].put(id, (float) (trend + 0.5 * random.nextGaussian()));
            }
        }
        Arrays.setAll(history, i -> random.nextInt(VOCAB_SIZE));
        sampler = new Sampler(options.options, new int[] {EOS_ID}, Integer.MAX_VALUE, new Candidates(VOCAB_SIZE));
        check(rows[0]);
    }

    private void check(FloatBuffer row) {
        float[] scores = new float[VOCAB_SIZE];
        row.get(0, scores);
        double[] expected = PlainSampling.probabilities(options.options, scores, history);
        double[] found = new double[VOCAB_SIZE];
        if (options.options.doSample()) {
            TokenDistribution distribution = sampler.distribution(row, history, HISTORY_LENGTH, HISTORY_LENGTH / 2);
            for (int i = 0; i < distribution.ids().length; i++) {
                found[distribution.ids()[i]] = distribution.probabilities()[i];
            }
        } else {
            found[sampler.sample(row, history, HISTORY_LENGTH, HISTORY_LENGTH / 2, seed)] = 1;
        }
        for (int id = 0; id < VOCAB_SIZE; id++) {
            if ((found[id] > 0) != (expected[id] > 0) || Math.abs(found[id] - expected[id]) > TOLERANCE) {
                throw new IllegalStateException("%s, %s: token %d has probability %s, by the plain definition %s"
                        .formatted(options, logits, id, found[id], expected[id]));
            }
        }
    }

    /** One step; figures are per token. */
    @Benchmark
    @OperationsPerInvocation(ROWS)
    public int token() {
        int ids = 0;
        for (FloatBuffer row : rows) {
            ids ^= sampler.sample(row, history, HISTORY_LENGTH, HISTORY_LENGTH / 2, seed++);
        }
        return ids;
    }
}
