package org.dolly4j.bench;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.check.Divergence;
import org.dolly4j.check.SequenceDecoder;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;

/**
 * Prints what a model loses by each type of weights, on the questions and answers of an evaluation: a row of a Markdown
 * table each. {@code --help} says more.
 */
public final class QuantisationLoss {
    private static final List<String> OPTIONS =
            List.of("--model", "--evaluation", "--outliers", "--channels", "--threads");

    /** Most that rounding in float32 makes of a checkpoint of the same function: far below what is measured here. */
    private static final double SAME_FUNCTION = 1e-8;

    private static final String USAGE =
            """
            Prints a table of what the types of weights lose against float32, on the backend kernels.

            usage: QuantisationLoss --model DIR --evaluation FILE [options]

              --model DIR        the model: config.json, weights and tokenizer.json
              --evaluation FILE  a line of JSON for each question: instruction, and greedy_ids, the tokens of the
                                 answer of the model in float32
              --outliers X       first makes a few channels of the norms' outputs X times as large, and the weights
                                 that take them as much smaller: the same function, in float32
              --channels N       how many of them (default 4)
              --threads N        CPU threads (default: physical cores)

            KL: divergence, in nats, of the next token's distribution from float32's (of the model as it is), over the
            tokens of the answers, each after the prompt and the tokens before it.
            """;

    /**
     * A question of the evaluation.
     *
     * @param prompt tokens
     * @param answer tokens that the model in float32 answers
     */
    private record Question(String instruction, int[] prompt, int[] answer) {
        /** Logits that the tokens of the answer are chosen from. */
        float[] logits(SequenceDecoder decoder) {
            int[] tokens = Arrays.copyOf(prompt, prompt.length + answer.length - 1);
            System.arraycopy(answer, 0, tokens, prompt.length, answer.length - 1);
            return decoder.logits(tokens, answer.length);
        }

        /** Whether a model answers the same. */
        boolean isAnsweredBy(SequenceDecoder decoder) {
            return Arrays.equals(decoder.greedy(prompt, answer.length), answer);
        }
    }

    private final List<Question> questions;
    private final int threads;
    private final List<float[]> exact = new ArrayList<>();

    private QuantisationLoss(List<Question> questions, int threads) {
        this.questions = questions;
        this.threads = threads;
    }

    /** Runs the tool; exits with 2 and the usage if an option is wrong. */
    public static void main(String[] args) throws IOException {
        try {
            run(args, System.out);
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage());
            System.err.println();
            System.err.print(USAGE);
            System.exit(2);
        }
    }

    static void run(String[] args, PrintStream out) throws IOException {
        ToolOptions options = new ToolOptions(args, OPTIONS);
        Path model = Path.of(options.required("--model"));
        int threads = Math.toIntExact(options.number("--threads", 0, 0));
        int channels = Math.toIntExact(options.number("--channels", 4, 1));
        QuantisationLoss loss =
                new QuantisationLoss(questions(model, Path.of(options.required("--evaluation"))), threads);
        loss.measureExact(model);
        if (options.text("--outliers").isEmpty()) {
            loss.printTable(model, out);
            return;
        }
        float factor = (float) options.positive("--outliers", 1);
        Path changed = Files.createTempDirectory("dolly4j-outliers");
        try {
            OutlierCheckpoint.write(
                    model, changed, factor, channels, Runtime.getRuntime().availableProcessors());
            loss.printTable(changed, out);
        } finally {
            delete(changed);
        }
    }

    private static List<Question> questions(Path model, Path evaluation) throws IOException {
        List<Question> questions = new ArrayList<>();
        try (Dolly dolly = Dolly.load(model)) {
            for (String line : Files.readAllLines(evaluation)) {
                JsonObject object = JsonParser.parseString(line).getAsJsonObject();
                String instruction = object.get("instruction").getAsString();
                int[] answer = object.getAsJsonArray("greedy_ids").asList().stream()
                        .mapToInt(JsonElement::getAsInt)
                        .toArray();
                GenerationRequest request =
                        GenerationRequest.forInstruction(instruction).build();
                questions.add(new Question(instruction, dolly.promptTokens(request), answer));
            }
        }
        return questions;
    }

    private DecoderModel load(Path folder, WeightType type) {
        WeightPlan plan = Family.planFor(Checkpoint.open(folder));
        return DecoderModel.load(
                plan.spec(), plan.rows(), new ModelOptions(type, Backend.KERNELS, "cpu", threads, false));
    }

    private void measureExact(Path folder) {
        try (DecoderModel model = load(folder, WeightType.FLOAT32)) {
            SequenceDecoder decoder = new SequenceDecoder(model);
            for (Question question : questions) {
                if (!question.isAnsweredBy(decoder)) {
                    throw new IllegalArgumentException("The evaluation is not of this model: in float32 it does not"
                            + " answer '" + question.instruction + "' with the tokens that greedy_ids holds.");
                }
                exact.add(question.logits(decoder));
            }
        }
    }

    private void printTable(Path folder, PrintStream out) {
        out.println("| weights | MB | mean KL | largest KL | same most likely token | same answer |");
        out.println("|---|---|---|---|---|---|");
        for (WeightType type : WeightType.values()) {
            try (DecoderModel model = load(folder, type)) {
                out.println(row(type, model));
            }
        }
    }

    private String row(WeightType type, DecoderModel model) {
        SequenceDecoder decoder = new SequenceDecoder(model);
        Divergence divergence = new Divergence();
        int sameAnswers = 0;
        for (int i = 0; i < questions.size(); i++) {
            Question question = questions.get(i);
            divergence.add(exact.get(i), question.logits(decoder), decoder.vocabSize());
            sameAnswers += question.isAnsweredBy(decoder) ? 1 : 0;
        }
        if (type == WeightType.FLOAT32 && !(divergence.mean() <= SAME_FUNCTION)) {
            throw new IllegalStateException(
                    "The changed checkpoint is not the same function: in float32 the mean KL is " + divergence.mean());
        }
        return String.format(
                Locale.ROOT,
                "| %s | %.1f | %.2g | %.2g | %d of %d | %d of %d |",
                ToolOptions.label(type),
                model.weightBytes() / 1e6,
                divergence.mean(),
                divergence.largest(),
                divergence.sameBest(),
                divergence.rows(),
                sameAnswers,
                questions.size());
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
