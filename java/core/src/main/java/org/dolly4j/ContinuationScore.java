package org.dolly4j;

import java.util.List;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * How likely a model finds a text after a prompt, see {@link Dolly#score(GenerationRequest, List)}.
 *
 * @param continuation the text
 * @param tokenIds its tokens; without template with those of the white space at the end of the prompt
 * @param logprobs how likely the model finds each of them, after those before
 */
public record ContinuationScore(String continuation, int[] tokenIds, List<TokenLogprobs> logprobs) {
    /** Copies the list. */
    public ContinuationScore {
        logprobs = List.copyOf(logprobs);
    }

    /** Natural logarithm of the probability of all tokens. */
    public double logprob() {
        return logprobs.stream().mapToDouble(TokenLogprobs::logprob).sum();
    }

    /** Whether each token is the likeliest at its place, so that it is what {@code doSample = false} would write. */
    public boolean isGreedy() {
        for (int i = 0; i < tokenIds.length; i++) {
            if (logprobs.get(i).top().get(0).tokenId() != tokenIds[i]) {
                return false;
            }
        }
        return true;
    }
}
