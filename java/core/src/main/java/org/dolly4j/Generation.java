package org.dolly4j;

import java.util.List;
import java.util.OptionalDouble;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * One answer.
 *
 * @param text the answer's text, without end keys and stop strings; of an instruction's answer also without white space
 *     at its ends
 * @param tokenIds the generated tokens, including one that ended the answer
 * @param logprobs how likely the model found each of the tokens; empty if the request does not ask for that
 * @param score of an answer that beam search found: its log-probability divided by the power of its length that {@link
 *     org.dolly4j.sampling.BeamOptions#lengthPenalty()} is; empty otherwise
 * @param finishReason why it ends
 */
public record Generation(
        String text, int[] tokenIds, List<TokenLogprobs> logprobs, OptionalDouble score, FinishReason finishReason) {
    /** Copies the list. */
    public Generation {
        logprobs = List.copyOf(logprobs);
    }
}
