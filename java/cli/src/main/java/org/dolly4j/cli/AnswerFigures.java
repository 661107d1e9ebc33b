package org.dolly4j.cli;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.dolly4j.GenerationResult;

/** What a result took, for a person. */
final class AnswerFigures {
    private AnswerFigures() {}

    /** One line: tokens, times, speed after the first token, seed, why it ended. */
    static String line(GenerationResult result) {
        int tokens = result.completionTokens();
        Duration first = result.timings().firstToken();
        Duration decoding = result.timings().total().minus(first);
        int decoded = tokens - result.generations().size();
        String speed = decoded > 0 && !decoding.isZero()
                ? String.format(Locale.ROOT, "%.1f tokens/s after it", decoded / seconds(decoding))
                : "no more after it";
        List<String> reasons = result.generations().stream()
                .map(answer -> NameConverter.name(answer.finishReason()))
                .toList();
        return String.format(
                Locale.ROOT,
                "dolly: prompt %,d tokens, answer %,d tokens in %.2f s; first token after %.2f s, %s; seed %d; ended by"
                        + " %s",
                result.promptTokens(),
                tokens,
                seconds(result.timings().total()),
                seconds(first),
                speed,
                result.seed(),
                reasons.stream().distinct().collect(Collectors.joining(", ")));
    }

    private static double seconds(Duration duration) {
        return duration.toNanos() / 1e9;
    }
}
