package org.dolly4j.sampling;

import java.util.Objects;

/**
 * How beam search looks for the likeliest answers. Names and meaning are those of Hugging Face's {@code
 * GenerationConfig}.
 *
 * @param beams answers that are followed at once ({@code num_beams}), from 1 to {@link #MAX_BEAMS}
 * @param lengthPenalty exponent of the length that the log-probability of an answer is divided by: above 0 it favours
 *     longer answers, below 0 shorter ones; finite, 1 in Hugging Face's defaults
 * @param earlyStopping when the search ends
 */
public record BeamOptions(int beams, double lengthPenalty, EarlyStopping earlyStopping) {
    /** Most beams: as many sequences as run together. */
    public static final int MAX_BEAMS = 64;

    /** When the search ends, beside that no answer may grow longer. */
    public enum EarlyStopping {
        /** When no beam can become better than the worst of the answers found, if it ended now ({@code False}). */
        HEURISTIC,
        /** As soon as there are as many answers as beams ({@code True}). */
        WHEN_FULL,
        /** When no beam can become better than the worst of the answers found, however long ({@code "never"}). */
        NEVER
    }

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException if a value is out of its range; names the option, the value and the range
     */
    public BeamOptions {
        Objects.requireNonNull(earlyStopping, "earlyStopping");
        if (beams < 1 || beams > MAX_BEAMS) {
            throw new IllegalArgumentException("beams = " + beams + " must be from 1 to " + MAX_BEAMS);
        }
        if (!Double.isFinite(lengthPenalty)) {
            throw new IllegalArgumentException("lengthPenalty = " + lengthPenalty + " must be a finite number");
        }
    }

    /** So many beams, and Hugging Face's defaults otherwise. */
    public static BeamOptions of(int beams) {
        return new BeamOptions(beams, 1, EarlyStopping.HEURISTIC);
    }
}
