package org.dolly4j.sampling;

/** Changes the scores of the whole vocabulary by the tokens so far. */
@FunctionalInterface
interface LogitsProcessor {
    /**
     * Changes the scores of one position.
     *
     * @param scores by token id; changed in place
     * @param history prompt and tokens so far; ids outside the vocabulary are ignored
     * @param historyLength how many of {@code history} count
     * @param promptLength how many of them are the prompt
     */
    void process(float[] scores, int[] history, int historyLength, int promptLength);
}
