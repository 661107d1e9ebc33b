package org.dolly4j;

import java.time.Duration;
import java.util.List;

/**
 * What came of a request.
 *
 * @param generations the answers, as many as the request asked for
 * @param promptTokens tokens of the prompt
 * @param seed the seed that was used; with it the same request gives the same answers
 * @param timings how long it took
 */
public record GenerationResult(List<Generation> generations, int promptTokens, long seed, Timings timings) {
    /** Copies the list. */
    public GenerationResult {
        generations = List.copyOf(generations);
    }

    /** Text of the first answer. */
    public String text() {
        return generations.get(0).text();
    }

    /** Tokens of all answers together. */
    public int completionTokens() {
        return generations.stream().mapToInt(one -> one.tokenIds().length).sum();
    }

    /**
     * Durations from the submission of a request on.
     *
     * @param queue until its first step began
     * @param firstToken until its first token was drawn
     * @param total until its last answer ended
     */
    public record Timings(Duration queue, Duration firstToken, Duration total) {}
}
