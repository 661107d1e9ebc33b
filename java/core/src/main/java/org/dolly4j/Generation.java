package org.dolly4j;

/**
 * One answer.
 *
 * @param text the answer's text: without white space at its ends, end keys and stop strings
 * @param tokenIds the generated tokens, including one that ended the answer
 * @param finishReason why it ends
 */
public record Generation(String text, int[] tokenIds, FinishReason finishReason) {}
