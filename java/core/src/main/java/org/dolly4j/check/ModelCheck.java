package org.dolly4j.check;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.dolly4j.DollyOptions;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;

/**
 * Logits, hidden states and greedy tokens of checkpoints against Hugging Face's: the folder {@code models} of the
 * goldens, whose README states the tolerances used here.
 */
public final class ModelCheck {
    /** Prompts of a checkpoint that have logits. */
    static final int PROMPTS = 5;

    private static final int LONG_LOGITS_ROWS = 16;
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
     * Runs every checkpoint of models.jsonl in float32 and bfloat16, and by the kernels in int8 and int4.
     *
     * @param folder the folder {@code models} of the goldens
     * @param options what runs the step, and where
     * @return one report for each checkpoint, and one for the bfloat16 divergence of all together
     * @throws org.dolly4j.CheckpointException if models.jsonl cannot be read or names no checkpoint in a line
     */
    public static List<CheckReport> run(Path folder, DollyOptions options) {
        ModelCheck check = new ModelCheck(folder, options);
        for (GoldenLine properties : Goldens.lines(folder.resolve("models.jsonl"))) {
            check.checkpoint(properties);
        }
        check.reportDivergence();
        return check.reports;
    }

    private void checkpoint(GoldenLine properties) {
        String name = properties.text("checkpoint");
        CheckReport report = new CheckReport("models/" + name);
        reports.add(report);
        report.attempt(name, () -> runCheckpoint(name, report));
    }

    private void runCheckpoint(String name, CheckReport report) {
        GoldenTensors expected = new GoldenTensors(folder.resolve("expected").resolve(name + ".safetensors"));
        WeightPlan plan =
                Family.planFor(Checkpoint.open(folder.resolve("checkpoints").resolve(name)));
        boolean outliers = name.contains("outliers");
        try (DecoderModel model = load(plan, WeightType.FLOAT32)) {
            runFloat32(new SequenceDecoder(model), expected, report, outliers ? 1e-3 : 1e-4);
        }
        try (DecoderModel model = load(plan, WeightType.BFLOAT16)) {
            runBfloat16(new SequenceDecoder(model), expected, report, outliers ? 3 : 0.5, outliers ? 0.1 : 0.05);
        }
        if (options.backend() == Backend.KERNELS) {
            for (QuantisationCheck check : QuantisationCheck.values()) {
                try (DecoderModel model = load(plan, check.type())) {
                    check.run(new SequenceDecoder(model), expected, report, outliers);
                }
            }
        } else {
            report.skip("int8, int4", "quantised weights need the backend kernels");
        }
    }

    private DecoderModel load(WeightPlan plan, WeightType type) {
        ModelOptions modelOptions =
                new ModelOptions(type, options.backend(), options.device(), options.threads(), options.portableBits());
        return DecoderModel.load(plan.spec(), plan.rows(), modelOptions);
    }

    private static void runFloat32(
            SequenceDecoder decoder, GoldenTensors expected, CheckReport report, double tolerance) {
        GreedyCheck greedy = new GreedyCheck(report, "float32", FLOAT32_GREEDY_MARGIN);
        double worst = 0;
        for (int i = 0; i < PROMPTS; i++) {
            int[] prompt = expected.ints("prompt." + i + ".ids");
            float[] logits = decoder.logits(prompt, prompt.length);
            worst = Math.max(worst, compare(report, "prompt." + i + ".logits", logits, expected, tolerance));
            greedy.check("greedy." + i, decoder, prompt, expected);
        }
        for (int i : new int[] {1, 3}) {
            float[] cached =
                    decoder.cachedLogits(expected.ints("prompt." + i + ".ids"), expected.ints("greedy." + i + ".ids"));
            worst = Math.max(worst, compare(report, "cached." + i + ".logits", cached, expected, tolerance));
        }
        checkHidden(decoder, expected, report);
        if (expected.has("long.ids")) {
            int[] prompt = expected.ints("long.ids");
            float[] logits = decoder.logits(prompt, LONG_LOGITS_ROWS);
            worst = Math.max(worst, compare(report, "long.logits_last", logits, expected, tolerance));
            greedy.check("long.greedy", decoder, prompt, expected);
        }
        report.figure("float32 logits differ by at most %.2g (tolerance %.0g); %s"
                .formatted(worst, tolerance, greedy.figure()));
    }

    private void runBfloat16(
            SequenceDecoder decoder,
            GoldenTensors expected,
            CheckReport report,
            double maxTolerance,
            double meanTolerance) {
        GreedyCheck greedy = new GreedyCheck(report, "bfloat16", BFLOAT16_GREEDY_MARGIN);
        double worst = 0;
        double sum = 0;
        long count = 0;
        for (int i = 0; i < PROMPTS; i++) {
            String name = "prompt." + i + ".logits";
            int[] prompt = expected.ints("prompt." + i + ".ids");
            float[] logits = decoder.logits(prompt, prompt.length);
            float[] exact = expected.floats(name, logits.length);
            Difference difference = Difference.of(logits, exact);
            worst = Math.max(worst, difference.max());
            sum += difference.mean() * exact.length;
            count += exact.length;
            checkDifference(report, name + " in bfloat16", difference.max(), maxTolerance);
            greedy.check("greedy." + i, decoder, prompt, expected);
            if (expected.has(name + "_bf16")) {
                // Hugging Face's own must be within the tolerance too, or the ratio to it would say nothing.
                float[] theirs = expected.floats(name + "_bf16", logits.length);
                checkDifference(
                        report, name + "_bf16", Difference.of(theirs, exact).max(), maxTolerance);
                ours.add(exact, logits, decoder.vocabSize());
                huggingFace.add(exact, theirs, decoder.vocabSize());
            }
        }
        double mean = sum / count;
        checkDifference(report, "bfloat16 logits on average", mean, meanTolerance);
        report.figure("bfloat16 logits differ by at most %.2g (tolerance %.1g), %.2g on average (tolerance %.1g); %s"
                .formatted(worst, maxTolerance, mean, meanTolerance, greedy.figure()));
    }

    private static void checkHidden(SequenceDecoder decoder, GoldenTensors expected, CheckReport report) {
        int[] prompt = expected.ints("prompt.3.ids");
        float[][] hidden = decoder.hidden(prompt);
        for (int i = 0; i < hidden.length; i++) {
            String name = "prompt.3.hidden."
                    + (i == 0 ? "embed" : i == hidden.length - 1 ? "final_norm" : "block." + (i - 1));
            float largest = 0;
            for (float value : expected.floats(name, hidden[i].length)) {
                largest = Math.max(largest, Math.abs(value));
            }
            compare(report, name, hidden[i], expected, HIDDEN_TOLERANCE * largest);
        }
    }

    private static double compare(
            CheckReport report, String name, float[] actual, GoldenTensors expected, double tolerance) {
        double difference =
                Difference.of(actual, expected.floats(name, actual.length)).max();
        checkDifference(report, name, difference, tolerance);
        return difference;
    }

    private static void checkDifference(CheckReport report, String name, double difference, double tolerance) {
        report.check(name, () -> difference <= tolerance ? "" : "differs by " + difference + " > " + tolerance);
    }

    /**
     * Greedy tokens of one compute type, which must be the same up to the first step whose two best logits are closer
     * than the margin.
     */
    private static final class GreedyCheck {
        private final CheckReport report;
        private final String type;
        private final float margin;
        private final List<String> undecided = new ArrayList<>();
        private int compared;
        private int total;

        GreedyCheck(CheckReport report, String type, float margin) {
            this.report = report;
            this.type = type;
            this.margin = margin;
        }

        void check(String name, SequenceDecoder decoder, int[] prompt, GoldenTensors expected) {
            int[] tokens = expected.ints(name + ".ids");
            float[] margins = expected.floats(name + ".margin", tokens.length);
            int decided = 0;
            while (decided < tokens.length && margins[decided] >= margin) {
                decided++;
            }
            compared += decided;
            total += tokens.length;
            if (decided == 0) {
                undecided.add(name);
                return;
            }
            int[] generated = decoder.greedy(prompt, decided);
            int mismatch = Arrays.mismatch(generated, 0, decided, tokens, 0, decided);
            report.check(
                    name + " in " + type,
                    () -> mismatch < 0
                            ? ""
                            : "token " + mismatch + " is " + generated[mismatch] + "; expected " + tokens[mismatch]
                                    + " by a margin of " + margins[mismatch]);
        }

        /** How much was compared; of some prompts nothing, because not even the first token is sure. */
        String figure() {
            String none = undecided.isEmpty() ? "" : " (none of " + String.join(", ", undecided) + ")";
            return "%d of %d greedy tokens compared%s".formatted(compared, total, none);
        }
    }

    private void reportDivergence() {
        CheckReport report = new CheckReport("models/bfloat16-divergence");
        reports.add(report);
        if (ours.rows() == 0) {
            report.skip("all", "no checkpoint has bfloat16 logits");
            return;
        }
        double ratio = ours.mean() / huggingFace.mean();
        report.figure("mean KL divergence from float32: %.3g; Hugging Face's bfloat16: %.3g; ratio %.2f (at most %.1f)"
                .formatted(ours.mean(), huggingFace.mean(), ratio, DIVERGENCE_RATIO));
        report.check(
                "all",
                () -> ratio <= DIVERGENCE_RATIO
                        ? ""
                        : "the ratio to Hugging Face's is " + ratio + " > " + DIVERGENCE_RATIO);
    }

    /** Largest and mean absolute difference; NaN counts as infinite. */
    private record Difference(double max, double mean) {
        static Difference of(float[] actual, float[] expected) {
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
}
