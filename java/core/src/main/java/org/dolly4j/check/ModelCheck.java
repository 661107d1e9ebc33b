package org.dolly4j.check;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.dolly4j.DollyOptions;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.ComputeType;

/**
 * Logits, hidden states and greedy tokens of checkpoints against Hugging Face's: the folder {@code models} of the
 * goldens, whose README states the tolerances used here.
 */
public final class ModelCheck {
    private static final int PROMPTS = 5;
    private static final float BFLOAT16_GREEDY_MARGIN = 0.5f;
    private static final float FLOAT32_GREEDY_MARGIN = 1e-3f;
    private static final double HIDDEN_TOLERANCE = 1e-5;
    /** Most that our bfloat16 may lose against float32, as a multiple of what Hugging Face's loses. */
    private static final double DIVERGENCE_RATIO = 1.1;

    private final Path folder;
    private final DollyOptions options;
    private final List<CheckReport> reports = new ArrayList<>();
    private final Divergence ours = new Divergence();
    private final Divergence huggingFace = new Divergence();

    private ModelCheck(Path folder, DollyOptions options) {
        this.folder = folder;
        this.options = options;
    }

    /**
     * Runs every checkpoint of models.jsonl in float32 and bfloat16.
     *
     * @param folder the folder {@code models} of the goldens
     * @param options what runs the step, and where
     * @return one report for each checkpoint, and one for the bfloat16 divergence of all together
     */
    public static List<CheckReport> run(Path folder, DollyOptions options) {
        ModelCheck check = new ModelCheck(folder, options);
        try {
            for (String line : Files.readAllLines(folder.resolve("models.jsonl"))) {
                check.runCheckpoint(JsonParser.parseString(line).getAsJsonObject());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        check.reportDivergence();
        return check.reports;
    }

    /** Why a checkpoint is not run, for what is not supported yet. */
    private static Optional<String> unsupported(JsonObject properties) {
        if (properties.get("family").getAsString().equals("gptj")) {
            return Optional.of("GPT-J is not supported yet");
        }
        String format = properties.get("format").getAsString();
        return switch (format) {
            case "bin-sharded", "bin-legacy" -> Optional.of("the weights format " + format + " is not supported yet");
            default -> Optional.empty();
        };
    }

    private void runCheckpoint(JsonObject properties) {
        String name = properties.get("checkpoint").getAsString();
        CheckReport report = new CheckReport("models/" + name);
        reports.add(report);
        Optional<String> unsupported = unsupported(properties);
        if (unsupported.isPresent()) {
            report.skip(name, unsupported.get());
            return;
        }
        GoldenTensors expected = new GoldenTensors(folder.resolve("expected").resolve(name + ".safetensors"));
        WeightPlan plan =
                Family.planFor(Checkpoint.open(folder.resolve("checkpoints").resolve(name)));
        boolean outliers = name.contains("outliers");
        try (DecoderModel model = load(plan, ComputeType.FLOAT32)) {
            runFloat32(new GoldenDecoder(model), expected, report, outliers ? 1e-3 : 1e-4);
        }
        try (DecoderModel model = load(plan, ComputeType.BFLOAT16)) {
            runBfloat16(new GoldenDecoder(model), expected, report, outliers ? 3 : 0.5, outliers ? 0.1 : 0.05);
        }
    }

    private DecoderModel load(WeightPlan plan, ComputeType type) {
        ModelOptions modelOptions =
                new ModelOptions(type, options.backend(), options.device(), options.threads(), options.portableBits());
        return DecoderModel.load(plan.spec(), plan.rows(), modelOptions);
    }

    private static void runFloat32(
            GoldenDecoder decoder, GoldenTensors expected, CheckReport report, double tolerance) {
        double worst = 0;
        for (int i = 0; i < PROMPTS; i++) {
            int[] prompt = expected.ints("prompt." + i + ".ids");
            float[] logits = decoder.logits(prompt, prompt.length);
            worst = Math.max(
                    worst,
                    compare(
                            report,
                            "prompt." + i + ".logits",
                            logits,
                            expected.floats("prompt." + i + ".logits"),
                            tolerance));
            checkGreedy(report, "greedy." + i, decoder, prompt, expected, FLOAT32_GREEDY_MARGIN);
        }
        for (int i : new int[] {1, 3}) {
            float[] cached =
                    decoder.cachedLogits(expected.ints("prompt." + i + ".ids"), expected.ints("greedy." + i + ".ids"));
            worst = Math.max(
                    worst,
                    compare(
                            report,
                            "cached." + i + ".logits",
                            cached,
                            expected.floats("cached." + i + ".logits"),
                            tolerance));
        }
        checkHidden(decoder, expected, report);
        if (expected.has("long.ids")) {
            int[] prompt = expected.ints("long.ids");
            float[] last = expected.floats("long.logits_last");
            float[] logits = decoder.logits(prompt, last.length / decoder.vocabSize());
            worst = Math.max(worst, compare(report, "long.logits_last", logits, last, tolerance));
            checkGreedy(report, "long.greedy", decoder, prompt, expected, FLOAT32_GREEDY_MARGIN);
        }
        report.figure("float32 logits differ by at most %.2g (tolerance %.0g)".formatted(worst, tolerance));
    }

    private void runBfloat16(
            GoldenDecoder decoder,
            GoldenTensors expected,
            CheckReport report,
            double maxTolerance,
            double meanTolerance) {
        double worst = 0;
        double sum = 0;
        long count = 0;
        for (int i = 0; i < PROMPTS; i++) {
            String name = "prompt." + i;
            int[] prompt = expected.ints(name + ".ids");
            float[] exact = expected.floats(name + ".logits");
            float[] logits = decoder.logits(prompt, prompt.length);
            Difference difference = Difference.of(logits, exact);
            worst = Math.max(worst, difference.max());
            sum += difference.mean() * exact.length;
            count += exact.length;
            if (difference.max() <= maxTolerance) {
                report.pass();
            } else {
                report.fail(name + ".logits in bfloat16", "differ by " + difference.max() + " > " + maxTolerance);
            }
            checkGreedy(report, "greedy." + i, decoder, prompt, expected, BFLOAT16_GREEDY_MARGIN);
            if (expected.has(name + ".logits_bf16")) {
                ours.add(exact, logits, decoder.vocabSize());
                huggingFace.add(exact, expected.floats(name + ".logits_bf16"), decoder.vocabSize());
            }
        }
        double mean = sum / count;
        if (mean <= meanTolerance) {
            report.pass();
        } else {
            report.fail("bfloat16 logits", "differ by " + mean + " on average > " + meanTolerance);
        }
        report.figure("bfloat16 logits differ by at most %.2g (tolerance %.1g), %.2g on average (tolerance %.1g)"
                .formatted(worst, maxTolerance, mean, meanTolerance));
    }

    private static void checkHidden(GoldenDecoder decoder, GoldenTensors expected, CheckReport report) {
        int[] prompt = expected.ints("prompt.3.ids");
        float[][] hidden = decoder.hidden(prompt);
        for (int i = 0; i < hidden.length; i++) {
            String name = "prompt.3.hidden."
                    + (i == 0 ? "embed" : i == hidden.length - 1 ? "final_norm" : "block." + (i - 1));
            float[] exact = expected.floats(name);
            float largest = 0;
            for (float value : exact) {
                largest = Math.max(largest, Math.abs(value));
            }
            compare(report, name, hidden[i], exact, HIDDEN_TOLERANCE * largest);
        }
    }

    /** Greedy tokens must be the same up to the first step whose two best logits are closer than the margin. */
    private static void checkGreedy(
            CheckReport report,
            String name,
            GoldenDecoder decoder,
            int[] prompt,
            GoldenTensors expected,
            float margin) {
        int[] tokens = expected.ints(name + ".ids");
        float[] margins = expected.floats(name + ".margin");
        int decided = 0;
        while (decided < tokens.length && margins[decided] >= margin) {
            decided++;
        }
        int[] generated = decoder.greedy(prompt, decided);
        int mismatch = Arrays.mismatch(generated, 0, decided, tokens, 0, decided);
        if (mismatch < 0) {
            report.pass();
        } else {
            report.fail(
                    name,
                    "token " + mismatch + " is " + generated[mismatch] + "; expected " + tokens[mismatch]
                            + " by a margin of " + margins[mismatch]);
        }
    }

    private static double compare(CheckReport report, String name, float[] actual, float[] expected, double tolerance) {
        double difference = Difference.of(actual, expected).max();
        if (difference <= tolerance) {
            report.pass();
        } else {
            report.fail(name, "differs by " + difference + " > " + tolerance);
        }
        return difference;
    }

    private void reportDivergence() {
        CheckReport report = new CheckReport("models/bfloat16-divergence");
        reports.add(report);
        if (ours.rows == 0) {
            report.skip("all", "no checkpoint has bfloat16 logits");
            return;
        }
        double ratio = ours.mean() / huggingFace.mean();
        report.figure("mean KL divergence from float32: %.3g; Hugging Face's bfloat16: %.3g; ratio %.2f (at most %.1f)"
                .formatted(ours.mean(), huggingFace.mean(), ratio, DIVERGENCE_RATIO));
        if (ratio <= DIVERGENCE_RATIO) {
            report.pass();
        } else {
            report.fail("all", "the ratio to Hugging Face's is " + ratio + " > " + DIVERGENCE_RATIO);
        }
    }

    /** Largest and mean absolute difference; NaN counts as infinite. */
    private record Difference(double max, double mean) {
        static Difference of(float[] actual, float[] expected) {
            if (actual.length != expected.length) {
                return new Difference(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY);
            }
            double max = 0;
            double sum = 0;
            for (int i = 0; i < actual.length; i++) {
                double difference = Math.abs((double) actual[i] - expected[i]);
                max = Math.max(max, Double.isNaN(difference) ? Double.POSITIVE_INFINITY : difference);
                sum += difference;
            }
            return new Difference(max, sum / actual.length);
        }
    }

    /** Mean KL divergence of softmax distributions from exact ones, over rows, in nats. */
    private static final class Divergence {
        private double sum;
        private int rows;

        void add(float[] exact, float[] approximate, int vocabSize) {
            for (int row = 0; row < exact.length; row += vocabSize) {
                double exactTotal = logSumExp(exact, row, vocabSize);
                double approximateTotal = logSumExp(approximate, row, vocabSize);
                for (int i = row; i < row + vocabSize; i++) {
                    double logP = exact[i] - exactTotal;
                    sum += Math.exp(logP) * (logP - (approximate[i] - approximateTotal));
                }
                rows++;
            }
        }

        double mean() {
            return sum / rows;
        }

        private static double logSumExp(float[] values, int start, int length) {
            double max = Double.NEGATIVE_INFINITY;
            for (int i = start; i < start + length; i++) {
                max = Math.max(max, values[i]);
            }
            double total = 0;
            for (int i = start; i < start + length; i++) {
                total += Math.exp(values[i] - max);
            }
            return max + Math.log(total);
        }
    }

    /** One sequence at a time, from position 0, on a session of its own. */
    private static final class GoldenDecoder {
        private static final int MAX_ROWS = 1024;

        private final DecoderModel model;
        private final int blocks;

        GoldenDecoder(DecoderModel model) {
            this.model = model;
            this.blocks = -Math.floorDiv(-model.spec().contextLength(), DecoderSession.BLOCK_SIZE);
        }

        int vocabSize() {
            return model.spec().vocabSize();
        }

        /** Logits of the last {@code wanted} tokens of a prompt, run as a whole. */
        float[] logits(int[] prompt, int wanted) {
            try (DecoderSession session = newSession(wanted)) {
                return toArray(session.step(batch(0, prompt, wanted)));
            }
        }

        /** Logits each of the tokens was chosen from when they were decoded one by one after the prompt. */
        float[] cachedLogits(int[] prompt, int[] tokens) {
            float[] all = new float[tokens.length * vocabSize()];
            try (DecoderSession session = newSession(1)) {
                FloatBuffer logits = session.step(batch(0, prompt, 1));
                for (int i = 0; i < tokens.length; i++) {
                    logits.get(all, i * vocabSize(), vocabSize());
                    if (i + 1 < tokens.length) {
                        logits = session.step(batch(prompt.length + i, new int[] {tokens[i]}, 1));
                    }
                }
            }
            return all;
        }

        int[] greedy(int[] prompt, int count) {
            int[] tokens = new int[count];
            try (DecoderSession session = newSession(1)) {
                int[] next = prompt;
                int cached = 0;
                for (int i = 0; i < count; i++) {
                    FloatBuffer logits = session.step(batch(cached, next, 1));
                    cached += next.length;
                    tokens[i] = argmax(logits);
                    next = new int[] {tokens[i]};
                }
            }
            return tokens;
        }

        float[][] hidden(int[] prompt) {
            int states = model.spec().layers() + 2;
            int size = prompt.length * model.spec().hiddenSize();
            FloatBuffer buffer = ByteBuffer.allocateDirect(states * size * Float.BYTES)
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            try (DecoderSession session = newSession(1)) {
                session.step(batch(0, prompt, 1), buffer);
            }
            float[][] hidden = new float[states][size];
            for (float[] state : hidden) {
                buffer.get(state);
            }
            return hidden;
        }

        private DecoderSession newSession(int maxLogitsRows) {
            return model.newSession(blocks, MAX_ROWS, maxLogitsRows);
        }

        private Batch batch(int cached, int[] tokens, int wanted) {
            int[] table = new int[blocks];
            Arrays.setAll(table, i -> i);
            Batch batch = new Batch(tokens.length, 1, blocks);
            batch.beginSequence(cached, table, blocks);
            for (int i = 0; i < tokens.length; i++) {
                batch.addRow(tokens[i], i >= tokens.length - wanted);
            }
            return batch;
        }

        private static float[] toArray(FloatBuffer buffer) {
            float[] values = new float[buffer.remaining()];
            buffer.get(values);
            return values;
        }

        private static int argmax(FloatBuffer logits) {
            int best = 0;
            for (int i = 1; i < logits.remaining(); i++) {
                if (logits.get(i) > logits.get(best)) {
                    best = i;
                }
            }
            return best;
        }
    }
}
