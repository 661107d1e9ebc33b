package org.dolly4j.check;

import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.dolly4j.DollyOptions;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenDistribution;

/** Compares the sampler's processors with Hugging Face's, by the {@code sampling} folder of the goldens. */
public final class SamplingCheck {
    private static final double SCORE_TOLERANCE = 1e-5; // of the score's size
    private static final double PROBABILITY_TOLERANCE = 1e-6; // absolute

    private final CheckReport report;
    private double scoreDifference;
    private double probabilityDifference;

    private SamplingCheck(String name) {
        report = new CheckReport("sampling/" + name);
    }

    /**
     * Runs what the folder holds.
     *
     * @param folder with {@code sampling.jsonl}, {@code processors.jsonl}, {@code beam.jsonl} or {@code logprobs.jsonl}
     * @param options what runs the models of the last two, which are those of the folder {@code models} beside
     * @return a report for each of these files that is there
     * @throws org.dolly4j.CheckpointException if a file cannot be read, or a line is not a JSON object
     */
    public static List<CheckReport> run(Path folder, DollyOptions options) {
        List<CheckReport> reports = new ArrayList<>();
        for (String name : List.of("sampling", "processors")) {
            Path file = folder.resolve(name + ".jsonl");
            if (Files.exists(file)) {
                reports.add(new SamplingCheck(name).runCases(Goldens.lines(file)));
            }
        }
        Path checkpoints = folder.resolveSibling("models").resolve("checkpoints");
        Path beam = folder.resolve("beam.jsonl");
        if (Files.exists(beam)) {
            reports.add(BeamCheck.run(Goldens.lines(beam), checkpoints, options));
        }
        Path logprobs = folder.resolve("logprobs.jsonl");
        if (Files.exists(logprobs)) {
            reports.add(LogprobCheck.run(Goldens.lines(logprobs), checkpoints, options));
        }
        return reports;
    }

    private CheckReport runCases(List<GoldenLine> goldens) {
        for (int i = 0; i < goldens.size(); i++) {
            GoldenLine golden = goldens.get(i);
            report.check(golden.has("name") ? golden.text("name") : "line " + (i + 1), () -> compare(golden));
        }
        report.figure("largest difference of scores %.1e of their size (tolerance %.0e), of probabilities %.1e (%.0e)"
                .formatted(scoreDifference, SCORE_TOLERANCE, probabilityDifference, PROBABILITY_TOLERANCE));
        return report;
    }

    /** Runs a case; returns what differs, or nothing. */
    private String compare(GoldenLine golden) {
        GoldenLine params = golden.object("params");
        float[] logits = golden.scores("logits");
        int[] history = golden.ints("history");
        int maxNewTokens = params.has("max_new_tokens") ? params.integer("max_new_tokens") : Integer.MAX_VALUE;
        Sampler sampler = new Sampler(options(params), golden.ints("eos"), maxNewTokens, new Candidates(logits.length));

        List<String> processors = new ArrayList<>(golden.texts("processors"));
        if (params.has("min_p") && params.number("min_p") == 0) {
            processors.remove("MinPLogitsWarper"); // Hugging Face builds one that removes nothing
        }
        if (!sampler.processorNames().equals(processors)) {
            return "processors are " + sampler.processorNames() + " instead of " + processors;
        }

        TokenDistribution found = sampler.distribution(
                FloatBuffer.wrap(logits), history, history.length, golden.integer("prompt_length"));
        int[] ids = golden.ints("kept");
        float[] scores = finite(golden.scores("scores"));
        double[] probabilities = golden.numbers("probs");
        if (scores.length != ids.length || probabilities.length != ids.length) {
            return "the golden keeps " + ids.length + " tokens, but has " + scores.length + " scores and "
                    + probabilities.length + " probabilities";
        }
        if (found.ids().length != ids.length) {
            return "keeps " + found.ids().length + " tokens instead of " + ids.length;
        }
        boolean anyOfTies = golden.has("ties") && (params.has("top_p") || params.has("typical_p"));
        if (anyOfTies) {
            Arrays.sort(scores);
            Arrays.sort(probabilities);
            Arrays.sort(found.scores());
            Arrays.sort(found.probabilities());
        } else if (!Arrays.equals(found.ids(), ids)) {
            return "keeps the tokens " + Arrays.toString(found.ids()) + " instead of " + Arrays.toString(ids);
        }
        return compareNumbers(found, scores, probabilities);
    }

    private String compareNumbers(TokenDistribution found, float[] scores, double[] probabilities) {
        for (int i = 0; i < scores.length; i++) {
            double difference = Math.abs(found.scores()[i] - scores[i]);
            double size = Math.abs(scores[i]);
            if (!(difference <= SCORE_TOLERANCE * size)) {
                return "score " + i + " is " + found.scores()[i] + " instead of " + scores[i];
            }
            scoreDifference = Math.max(scoreDifference, difference == 0 ? 0 : difference / size);
            double probabilityOff = Math.abs(found.probabilities()[i] - probabilities[i]);
            if (!(probabilityOff <= PROBABILITY_TOLERANCE)) {
                return "probability " + i + " is " + found.probabilities()[i] + " instead of " + probabilities[i];
            }
            probabilityDifference = Math.max(probabilityDifference, probabilityOff);
        }
        return "";
    }

    private static SamplingOptions options(GoldenLine params) {
        SamplingOptions.Builder builder = SamplingOptions.builder().doSample(true);
        for (String name : params.fields()) {
            switch (name) {
                case "temperature" -> builder.temperature(params.number(name));
                case "top_k" -> builder.topK(params.integer(name));
                case "top_p" -> builder.topP(params.number(name));
                case "min_p" -> builder.minP(params.number(name));
                case "typical_p" -> builder.typicalP(params.number(name));
                case "epsilon_cutoff" -> builder.epsilonCutoff(params.number(name));
                case "eta_cutoff" -> builder.etaCutoff(params.number(name));
                case "repetition_penalty" -> builder.repetitionPenalty(params.number(name));
                case "no_repeat_ngram_size" -> builder.noRepeatNgramSize(params.integer(name));
                case "bad_words_ids" -> builder.badWordsIds(params.integerLists(name));
                case "min_length" -> builder.minLength(params.integer(name));
                case "min_new_tokens" -> builder.minNewTokens(params.integer(name));
                case "max_new_tokens" -> {} // of the request, not of the sampling
                case "sequence_bias" -> builder.sequenceBias(params.weightedLists(name));
                case "forced_bos_token_id" -> builder.forcedBosTokenId(params.integer(name));
                case "forced_eos_token_id" -> builder.forcedEosTokenIds(params.integers(name));
                case "suppress_tokens" -> builder.suppressTokens(params.integers(name));
                case "begin_suppress_tokens" -> builder.beginSuppressTokens(params.integers(name));
                case "renormalize_logits" -> builder.renormalizeLogits(params.flag(name));
                default -> throw new IllegalArgumentException("unknown option " + name);
            }
        }
        return builder.build();
    }

    private static float[] finite(float[] values) {
        float[] finite = new float[values.length];
        int count = 0;
        for (float value : values) {
            if (value != Float.NEGATIVE_INFINITY) {
                finite[count++] = value;
            }
        }
        return Arrays.copyOf(finite, count);
    }
}
