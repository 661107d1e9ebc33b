package org.dolly4j.check;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.DollyOptions;
import org.dolly4j.engine.RequestSpec;
import org.dolly4j.engine.StopCondition;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamOptions.EarlyStopping;
import org.dolly4j.sampling.SamplingOptions;

/** Compares beam search with Hugging Face's, by {@code beam.jsonl} of the goldens. */
final class BeamCheck {
    private static final double SCORE_TOLERANCE = 1e-3;

    private final CheckReport report = new CheckReport("sampling/beam");
    private double largest;

    private BeamCheck() {}

    /**
     * Runs every case; those of checkpoints that are not there are skipped.
     *
     * @param lines of the file
     * @param checkpoints folder of the checkpoints' folders
     * @param options what runs the step, and where
     */
    static CheckReport run(List<GoldenLine> lines, Path checkpoints, DollyOptions options) {
        BeamCheck check = new BeamCheck();
        new EngineCases(checkpoints, options, check.report).run(lines, BeamCheck::spec, check::compare);
        check.report.figure(String.format(
                Locale.ROOT, "scores differ by at most %.1e (tolerance %.0e)", check.largest, SCORE_TOLERANCE));
        return check.report;
    }

    private static RequestSpec spec(GoldenLine golden) {
        GoldenLine params = golden.object("params");
        EarlyStopping earlyStopping =
                switch (params.string("early_stopping")) {
                    case "true" -> EarlyStopping.WHEN_FULL;
                    case "never" -> EarlyStopping.NEVER;
                    default -> EarlyStopping.HEURISTIC;
                };
        return new RequestSpec(
                golden.ints("prompt_ids"),
                params.integer("num_return_sequences"),
                params.integer("max_new_tokens"),
                sampling(params),
                params.has("eos_token_id") ? params.ints("eos_token_id") : new int[0],
                new int[0],
                StopCondition.NEVER,
                0,
                Optional.empty(),
                "",
                Optional.of(
                        new BeamOptions(params.integer("num_beams"), params.number("length_penalty"), earlyStopping)),
                OptionalInt.empty(),
                List.of());
    }

    private static SamplingOptions sampling(GoldenLine params) {
        SamplingOptions.Builder sampling = SamplingOptions.builder();
        for (String name : params.fields()) {
            switch (name) {
                case "repetition_penalty" -> sampling.repetitionPenalty(params.number(name));
                case "no_repeat_ngram_size" -> sampling.noRepeatNgramSize(params.integer(name));
                case "min_new_tokens" -> sampling.minNewTokens(params.integer(name));
                case "forced_eos_token_id" -> sampling.forcedEosTokenIds(params.integers(name));
                case "sequence_bias" -> sampling.sequenceBias(params.weightedLists(name));
                case "renormalize_logits" -> sampling.renormalizeLogits(params.flag(name));
                default -> {} // of the search
            }
        }
        return sampling.build();
    }

    private String compare(GoldenLine golden, EngineCases.Outcome outcome) {
        List<List<Integer>> expected = golden.integerLists("sequences");
        double[] expectedScores = golden.numbers("scores");
        double[] scores = outcome.scores();
        if (!outcome.tokens().equals(expected)) {
            return "finds " + outcome.tokens() + " with " + Arrays.toString(scores) + " instead of " + expected
                    + " with " + Arrays.toString(expectedScores);
        }
        for (int i = 0; i < scores.length; i++) {
            double difference = Math.abs(scores[i] - expectedScores[i]);
            largest = Math.max(largest, difference);
            if (!(difference <= SCORE_TOLERANCE)) {
                return "score " + i + " is " + scores[i] + " instead of " + expectedScores[i];
            }
        }
        return "";
    }
}
