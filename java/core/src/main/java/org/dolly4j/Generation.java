package org.dolly4j;

/**
 * One answer.
 *
 * @param text the answer's text, without end keys and stop strings; of an instruction's answer also without white space
 *     at its ends
 * @param tokenIds the generated tokens, including one that ended the answer
 * @param finishReason why it ends
 */
public record Generation(String text, int[] tokenIds, FinishReason finishReason) {}
