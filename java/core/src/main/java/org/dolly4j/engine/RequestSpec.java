package org.dolly4j.engine;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.sampling.BeamOptions;
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
 * @param beams if the answers are looked for by beam search: the sequences are then the best ones found, and their tokens
 *     come when the search ends
 * @param topLogprobs how many of the likeliest tokens every token comes with, beside its own likelihood, if wanted
 * @param given the tokens of each sequence, if none are to be chosen: how likely the model finds them is all that is
 *     wanted then, and they end by themselves alone; empty otherwise
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
        Optional<BeamOptions> beams,
        OptionalInt topLogprobs,
        List<int[]> given) {
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
        Objects.requireNonNull(beams, "beams");
        Objects.requireNonNull(topLogprobs, "topLogprobs");
        given = List.copyOf(given);
        if (prompt.length == 0) {
            throw new IllegalArgumentException("The prompt has no tokens; a model needs at least one to start from.");
        }
        if (sequences < 1 || maxNewTokens < 1) {
            throw new IllegalArgumentException("A request draws at least 1 sequence of at least 1 token, not "
                    + sequences + " of " + maxNewTokens + ".");
        }
        if (beams.isPresent()) {
            if (sampling.doSample()) {
                throw new IllegalArgumentException("Beam search draws nothing: set doSample = false.");
            }
            if (sequences > beams.get().beams()) {
                throw new IllegalArgumentException(
                        beams.get().beams() + " beams find at most as many answers, not " + sequences + ".");
            }
        }
    }

    /**
     * A request for how likely the model finds given continuations of a prompt, and which token it finds likeliest at
     * the place of each of theirs.
     *
     * @param continuations of at least one token each
     * @throws IllegalArgumentException if the prompt, the list or a continuation is empty
     */
    public static RequestSpec scoring(
            int[] prompt, List<int[]> continuations, Optional<Duration> deadline, String cacheSalt, int topLogprobs) {
        if (continuations.stream().anyMatch(tokens -> tokens.length == 0)) {
            throw new IllegalArgumentException("A continuation has no tokens; there is nothing to score.");
        }
        return new RequestSpec(
                prompt,
                continuations.size(),
                continuations.stream().mapToInt(tokens -> tokens.length).max().orElse(0),
                SamplingOptions.greedy(),
                new int[0],
                new int[0],
                StopCondition.NEVER,
                0,
                deadline,
                cacheSalt,
                Optional.empty(),
                OptionalInt.of(topLogprobs),
                continuations);
    }

    /** Whether the tokens are given. */
    boolean isScoring() {
        return !given.isEmpty();
    }

    /** Most tokens of one of the sequences. */
    int maxNewTokensOf(int sequence) {
        return isScoring() ? given.get(sequence).length : maxNewTokens;
    }

    /** Sequences that begin with the prompt, and do not come from another one later. */
    int begunAtFirst() {
        return beams.isPresent() ? 1 : sequences;
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
