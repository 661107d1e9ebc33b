package org.dolly4j.check;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenDistribution;

/** Compares the sampler's processors with Hugging Face's, by the {@code sampling} folder of the goldens. */
public final class SamplingCheck {
    private static final double SCORE_TOLERANCE = 1e-5; // of the score's size
    private static final double PROBABILITY_TOLERANCE = 1e-6; // absolute

    private final CheckReport report = new CheckReport("sampling/sampling");
    private double scoreDifference;
    private double probabilityDifference;

    private SamplingCheck() {}

    /**
     * Runs what the folder holds.
     *
     * @param folder with {@code sampling.jsonl} or {@code beam.jsonl}
     * @return a report for each of the two files that is there
     * @throws org.dolly4j.CheckpointException if a file cannot be read, or a line is not a JSON object
     */
    public static List<CheckReport> run(Path folder) {
        List<CheckReport> reports = new ArrayList<>();
        Path sampling = folder.resolve("sampling.jsonl");
        if (Files.exists(sampling)) {
            reports.add(new SamplingCheck().runCases(Goldens.lines(sampling)));
        }
        Path beam = folder.resolve("beam.jsonl");
        if (Files.exists(beam)) {
            CheckReport report = new CheckReport("sampling/beam");
            report.skip("beam.jsonl, " + Goldens.lines(beam).size() + " cases", "beam search: not supported yet");
            reports.add(report);
        }
        return reports;
    }

    private CheckReport runCases(List<JsonObject> goldens) {
        for (JsonObject golden : goldens) {
            String name = Goldens.text(golden, "name");
            try {
                String difference = compare(golden);
                if (difference.isEmpty()) {
                    report.pass();
                } else {
                    report.fail(name, difference);
                }
            } catch (RuntimeException e) {
                report.fail(name, e.toString());
            }
        }
        report.figure("largest difference of scores %.1e of their size (tolerance %.0e), of probabilities %.1e (%.0e)"
                .formatted(scoreDifference, SCORE_TOLERANCE, probabilityDifference, PROBABILITY_TOLERANCE));
        return report;
    }

    /** Runs a case; returns what differs, or nothing. */
    private String compare(JsonObject golden) {
        JsonObject params = golden.getAsJsonObject("params");
        float[] logits = floats(golden.getAsJsonArray("logits"));
        int[] history = Goldens.ints(golden, "history");
        Sampler sampler = new Sampler(options(params), logits.length, Goldens.ints(golden, "eos"));

        List<String> processors = new ArrayList<>();
        golden.getAsJsonArray("processors").forEach(processor -> processors.add(processor.getAsString()));
        if (params.has("min_p") && params.get("min_p").getAsDouble() == 0) {
            processors.remove("MinPLogitsWarper"); // Hugging Face builds one that removes nothing
        }
        if (!sampler.processorNames().equals(processors)) {
            return "processors are " + sampler.processorNames() + " instead of " + processors;
        }

        TokenDistribution found = sampler.distribution(
                FloatBuffer.wrap(logits),
                history,
                history.length,
                golden.get("prompt_length").getAsInt());
        int[] ids = Goldens.ints(golden, "kept");
        float[] scores = finite(floats(golden.getAsJsonArray("scores")));
        double[] probabilities = doubles(golden.getAsJsonArray("probs"));
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

    private static SamplingOptions options(JsonObject params) {
        SamplingOptions.Builder builder = SamplingOptions.builder().doSample(true);
        for (Map.Entry<String, JsonElement> param : params.entrySet()) {
            JsonElement value = param.getValue();
            switch (param.getKey()) {
                case "temperature" -> builder.temperature(value.getAsDouble());
                case "top_k" -> builder.topK(value.getAsInt());
                case "top_p" -> builder.topP(value.getAsDouble());
                case "min_p" -> builder.minP(value.getAsDouble());
                case "typical_p" -> builder.typicalP(value.getAsDouble());
                case "epsilon_cutoff" -> builder.epsilonCutoff(value.getAsDouble());
                case "eta_cutoff" -> builder.etaCutoff(value.getAsDouble());
                case "repetition_penalty" -> builder.repetitionPenalty(value.getAsDouble());
                case "no_repeat_ngram_size" -> builder.noRepeatNgramSize(value.getAsInt());
                case "bad_words_ids" ->
                    builder.badWordsIds(value.getAsJsonArray().asList().stream()
                            .map(SamplingCheck::ids)
                            .toList());
                case "min_length" -> builder.minLength(value.getAsInt());
                case "min_new_tokens" -> builder.minNewTokens(value.getAsInt());
                case "suppress_tokens" -> builder.suppressTokens(ids(value));
                case "begin_suppress_tokens" -> builder.beginSuppressTokens(ids(value));
                case "renormalize_logits" -> builder.renormalizeLogits(value.getAsBoolean());
                default -> throw new IllegalArgumentException("unknown option " + param.getKey());
            }
        }
        return builder.build();
    }

    private static List<Integer> ids(JsonElement array) {
        return array.getAsJsonArray().asList().stream()
                .map(JsonElement::getAsInt)
                .toList();
    }

    private static double[] doubles(JsonArray array) {
        return array.asList().stream().mapToDouble(JsonElement::getAsDouble).toArray();
    }

    private static float[] floats(JsonArray array) {
        float[] values = new float[array.size()];
        for (int i = 0; i < values.length; i++) {
            JsonElement value = array.get(i);
            values[i] = value.isJsonNull() ? Float.NEGATIVE_INFINITY : value.getAsFloat();
        }
        return values;
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
