package org.dolly4j.engine;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.sampling.SamplingOptions;

/**
 * What a request asks for. The arrays belong to the request from here on and must not be changed.
 *
 * @param prompt token ids, at least one
 * @param sequences answers to draw, at least 1; sequence 0 is the same whatever this number is
 * @param maxNewTokens most tokens of each sequence, at least 1
 * @param sampling how tokens are chosen
 * @param endIds tokens that end a sequence and that minimum lengths hold back ("### End" or end of text)
 * @param stopIds further tokens that end a sequence
 * @param stopCondition ends sequences by other means
 * @param seed key of the random numbers: the same seed gives the same tokens
 * @param deadline time from the submission on after which its sequences end as they are, if there is one
 * @param cacheSalt requests share what is cached of prompts only with those of the same salt; empty for all without one
 * @param topLogprobs how many of the likeliest tokens every token comes with, beside its own likelihood, if wanted
 */
public record RequestSpec(
        int[] prompt,
        int sequences,
        int maxNewTokens,
        SamplingOptions sampling,
        int[] endIds,
        int[] stopIds,
        StopCondition stopCondition,
        long seed,
        Optional<Duration> deadline,
        String cacheSalt,
        OptionalInt topLogprobs) {
    /**
     * Checks the counts.
     *
     * @throws IllegalArgumentException if the prompt is empty or a count is below 1
     */
    public RequestSpec {
        Objects.requireNonNull(sampling, "sampling");
        Objects.requireNonNull(stopCondition, "stopCondition");
        Objects.requireNonNull(deadline, "deadline");
        Objects.requireNonNull(cacheSalt, "cacheSalt");
        Objects.requireNonNull(topLogprobs, "topLogprobs");
        if (prompt.length == 0) {
            throw new IllegalArgumentException("The prompt has no tokens; a model needs at least one to start from.");
        }
        if (sequences < 1 || maxNewTokens < 1) {
            throw new IllegalArgumentException("A request draws at least 1 sequence of at least 1 token, not "
                    + sequences + " of " + maxNewTokens + ".");
        }
    }

    /**
     * The seed of one of the sequences: that of the request for sequence 0, unrelated ones for the others (SplitMix64,
     * Steele et al. 2014).
     */
    long seedOf(int sequence) {
        if (sequence == 0) {
            return seed;
        }
        long z = seed + sequence * 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
