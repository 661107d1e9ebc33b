package org.dolly4j.check;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.DollyOptions;
import org.dolly4j.engine.RequestSpec;
import org.dolly4j.engine.StopCondition;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * Compares log-probabilities with those of Hugging Face's logits, by {@code logprobs.jsonl} of the goldens: of given
 * continuations, and of answers as they are written.
 */
final class LogprobCheck {
    private static final double TOLERANCE = 1e-4;

    private final CheckReport report = new CheckReport("sampling/logprobs");
    private double largest;

    private LogprobCheck() {}

    /**
     * Runs every case; those of checkpoints that are not there are skipped.
     *
     * @param lines of the file
     * @param checkpoints folder of the checkpoints' folders
     * @param options what runs the step, and where
     */
    static CheckReport run(List<GoldenLine> lines, Path checkpoints, DollyOptions options) {
        LogprobCheck check = new LogprobCheck();
        new EngineCases(checkpoints, options, check.report).run(lines, LogprobCheck::spec, check::compare);
        check.report.figure(String.format(
                Locale.ROOT, "log-probabilities differ by at most %.1e (tolerance %.0e)", check.largest, TOLERANCE));
        return check.report;
    }

    private static RequestSpec spec(GoldenLine golden) {
        int[] prompt = golden.ints("prompt_ids");
        int top = golden.integer("top");
        if (!golden.flag("generated")) {
            List<int[]> continuations = golden.objects("continuations").stream()
                    .map(one -> one.ints("tokens"))
                    .toList();
            return RequestSpec.scoring(prompt, continuations, Optional.empty(), "", top);
        }
        int length = golden.objects("continuations").get(0).ints("tokens").length;
        return new RequestSpec(
                prompt,
                1,
                length,
                SamplingOptions.greedy(),
                new int[0],
                new int[0],
                StopCondition.NEVER,
                0,
                Optional.empty(),
                "",
                Optional.empty(),
                OptionalInt.of(top),
                List.of());
    }

    private String compare(GoldenLine golden, EngineCases.Outcome outcome) {
        List<GoldenLine> continuations = golden.objects("continuations");
        for (int i = 0; i < continuations.size(); i++) {
            GoldenLine expected = continuations.get(i);
            if (!outcome.tokens().get(i).equals(expected.integers("tokens"))) {
                return "tokens " + outcome.tokens().get(i) + " instead of " + expected.integers("tokens");
            }
            String difference = compare(expected, outcome.logprobs().get(i), golden.integer("top"));
            if (!difference.isEmpty()) {
                return "continuation " + i + ": " + difference;
            }
        }
        return "";
    }

    private String compare(GoldenLine expected, List<TokenLogprobs> found, int top) {
        double[] logprobs = expected.numbers("logprobs");
        List<Integer> topIds = expected.integers("top_ids");
        double[] topLogprobs = expected.numbers("top_logprobs");
        for (int i = 0; i < logprobs.length; i++) {
            TokenLogprobs token = found.get(i);
            if (differs(token.logprob(), logprobs[i])) {
                return "token " + i + " has " + token.logprob() + " instead of " + logprobs[i];
            }
            List<Integer> ids =
                    token.top().stream().map(TokenLogprobs.Alternative::tokenId).toList();
            if (!ids.equals(topIds.subList(i * top, (i + 1) * top))) {
                return "the likeliest at token " + i + " are " + ids + " instead of "
                        + topIds.subList(i * top, (i + 1) * top);
            }
            for (int j = 0; j < top; j++) {
                if (differs(token.top().get(j).logprob(), topLogprobs[i * top + j])) {
                    return "alternative " + j + " at token " + i + " has "
                            + token.top().get(j).logprob() + " instead of " + topLogprobs[i * top + j];
                }
            }
        }
        return "";
    }

    private boolean differs(double found, double expected) {
        double difference = Math.abs(found - expected);
        largest = Math.max(largest, difference);
        return !(difference <= TOLERANCE);
    }
}
