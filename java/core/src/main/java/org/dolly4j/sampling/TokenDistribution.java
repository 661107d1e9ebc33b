package org.dolly4j.sampling;

/**
 * What a {@link Sampler} draws from at one position.
 *
 * @param ids tokens that may be drawn, ascending
 * @param scores of those tokens, after all processors
 * @param probabilities softmax of {@code scores}; sum 1
 */
public record TokenDistribution(int[] ids, float[] scores, double[] probabilities) {}
