package org.dolly4j.sampling;

import java.util.List;

/**
 * How likely the model finds a token at its place, and which tokens it finds likeliest there: natural logarithms of the
 * softmax of the logits as the model gives them, before any option of {@link SamplingOptions} changes them.
 *
 * @param logprob of the token
 * @param top the likeliest tokens at that place, best first, of equal ones the lowest id first; as many as were asked
 *     for
 */
public record TokenLogprobs(double logprob, List<Alternative> top) {
    /** Most tokens that can be asked for. */
    public static final int MAX_TOP = 100;

    /** Copies the list. */
    public TokenLogprobs {
        top = List.copyOf(top);
    }

    /**
     * One of the likeliest tokens.
     *
     * @param tokenId the token
     * @param logprob natural logarithm of its probability
     */
    public record Alternative(int tokenId, double logprob) {}
}
