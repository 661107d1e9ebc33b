package org.dolly4j.bench;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dolly4j.bench.RandomCheckpoint.Format;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Time of one step of the decoder as Java calls it, with random weights and the CPU kernels. {@code native/bench} has
 * the kernels alone, beside the machine's limits.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 2)
@Fork(2)
public class DecoderStepBenchmark {
    private static final int CONTEXT = 64;

    /** As the command line of {@link RandomCheckpoint} names them. */
    @Param("70m")
    String shape;

    @Param("BFLOAT16")
    WeightType dtype;

    /** CPU threads; 0 for the number of physical cores. */
    @Param("0")
    int threads;

    /** Which rows a step has. */
    public enum Rows {
        /** A token of each of so many sequences, after {@value DecoderStepBenchmark#CONTEXT} others. */
        DECODE_1(1, true),
        DECODE_8(8, true),
        DECODE_32(32, true),
        /** The first tokens of one sequence. */
        PREFILL_32(32, false),
        PREFILL_256(256, false);

        private final int count;
        private final boolean decode;

        Rows(int count, boolean decode) {
            this.count = count;
            this.decode = decode;
        }
    }

    @Param
    Rows rows;

    private Path folder;
    private DecoderModel model;
    private SequenceBatch batch;
    private int[] tokens;

    /** Loads the model, and checks that a step gives the logits that its tokens have when they come otherwise. */
    @Setup
    public void prepare() throws IOException {
        ModelShape sizes = Stream.of(ModelShape.values())
                .filter(each -> each.label().equals(shape))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no shape '" + shape + "'"));
        int cpus = Runtime.getRuntime().availableProcessors();
        folder = Files.createTempDirectory("decoder-step");
        RandomCheckpoint.write(folder, sizes, Format.SAFETENSORS, DType.BFLOAT16, ModelShape.DEVIATION, 0, cpus);
        WeightPlan plan = Family.planFor(Checkpoint.open(folder));
        ModelOptions options = new ModelOptions(dtype, Backend.KERNELS, "cpu", threads, false);
        model = DecoderModel.load(plan.spec(), plan.rows(), options);
        tokens = SequenceBatch.prompt(0, rows.count);
        if (rows.decode) {
            batch = new SequenceBatch(model, rows.count, CONTEXT + 1);
            for (int sequence = 0; sequence < rows.count; sequence++) {
                batch.prefill(sequence, SequenceBatch.prompt(sequence, CONTEXT));
            }
        } else {
            batch = new SequenceBatch(model, 1, rows.count);
        }
        check();
    }

    /** Decoded tokens: those of the last sequence as one prompt. A prompt: its last token decoded. Same bits. */
    private void check() {
        FloatBuffer all = run();
        FloatBuffer last = all.slice(
                all.remaining() - model.spec().vocabSize(), model.spec().vocabSize());
        int sequence = rows.decode ? rows.count - 1 : 0;
        int before = rows.decode ? CONTEXT : rows.count - 1;
        int[] prompt = Arrays.copyOf(SequenceBatch.prompt(sequence, before), before + 1);
        prompt[before] = tokens[rows.count - 1];
        try (SequenceBatch one = new SequenceBatch(model, 1, prompt.length)) {
            FloatBuffer expected;
            if (rows.decode) {
                expected = one.prefill(0, prompt);
            } else {
                one.prefill(0, Arrays.copyOf(prompt, before));
                expected = one.decode(before, new int[] {prompt[before]});
            }
            if (!last.equals(expected)) {
                throw new IllegalStateException(rows + ": the logits depend on the other rows of the step");
            }
        }
    }

    private FloatBuffer run() {
        return rows.decode ? batch.decode(CONTEXT, tokens) : batch.prefill(0, tokens);
    }

    /** One step, from the same state each time. */
    @Benchmark
    public float step() {
        return run().get(0);
    }

    /** Closes the model and deletes its files. */
    @TearDown
    public void close() throws IOException {
        batch.close();
        model.close();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
