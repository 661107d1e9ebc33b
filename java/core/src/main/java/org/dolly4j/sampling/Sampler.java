package org.dolly4j.sampling;

import java.nio.FloatBuffer;

/** Chooses tokens by {@link SamplingOptions}. Not thread-safe; holds its work space. */
public final class Sampler {
    /**
     * @param options what to do
     * @param vocabSize length of a logits row
     * @param eosIds end tokens, which min length and min new tokens hold back
     */
    public Sampler(SamplingOptions options, int vocabSize, int[] eosIds) {
        throw new UnsupportedOperationException();
    }

    /**
     * Chooses the next token.
     *
     * @param logits at least {@code vocabSize} floats from its position on; not changed
     * @param history prompt and tokens so far
     * @param historyLength how many of {@code history} count; also the position of the drawn token
     * @param promptLength how many of them are the prompt
     * @param seed key of the random number together with the position
     * @return token id
     */
    public int sample(FloatBuffer logits, int[] history, int historyLength, int promptLength, long seed) {
        throw new UnsupportedOperationException();
    }
}
