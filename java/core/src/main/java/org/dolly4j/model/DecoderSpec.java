package org.dolly4j.model;

/**
 * Shape and traits of a decoder, all the step needs to know of a family.
 *
 * @param layers number of blocks
 * @param hiddenSize width of the residual stream
 * @param heads attention heads
 * @param headSize width of one head; {@code heads * headSize == hiddenSize}
 * @param ffnSize width of the feed-forward block
 * @param vocabSize rows of embedding and head, padding included
 * @param contextLength positions the model was trained for
 * @param rotaryDims leading dimensions of each head that are rotated, even, at most {@code headSize}
 * @param rotaryBase base of the rotary frequencies
 * @param activation activation of the feed-forward block
 * @param normEpsilon added to the variance in every LayerNorm
 * @param parallelResidual attention and feed-forward both read the block's input (GPT-NeoX, GPT-J)
 * @param sharedNorm one LayerNorm feeds both attention and feed-forward (GPT-J)
 * @param attentionBias Q, K, V and the attention output have biases
 * @param ffnBias the feed-forward layers have biases
 * @param headBias the output head has a bias (GPT-J)
 * @param tiedHead the output head is the embedding
 */
public record DecoderSpec(
        int layers,
        int hiddenSize,
        int heads,
        int headSize,
        int ffnSize,
        int vocabSize,
        int contextLength,
        int rotaryDims,
        double rotaryBase,
        Activation activation,
        double normEpsilon,
        boolean parallelResidual,
        boolean sharedNorm,
        boolean attentionBias,
        boolean ffnBias,
        boolean headBias,
        boolean tiedHead) {}
