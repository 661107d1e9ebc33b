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
        boolean tiedHead) {
    /**
     * Checks the sizes against each other.
     *
     * @throws IllegalArgumentException if a size is not positive, {@code heads * headSize != hiddenSize}, or {@code
     *     rotaryDims} is odd or larger than a head
     */
    public DecoderSpec {
        requirePositive("layers", layers);
        requirePositive("hiddenSize", hiddenSize);
        requirePositive("heads", heads);
        requirePositive("headSize", headSize);
        requirePositive("ffnSize", ffnSize);
        requirePositive("vocabSize", vocabSize);
        requirePositive("contextLength", contextLength);
        if ((long) heads * headSize != hiddenSize) {
            throw new IllegalArgumentException(
                    "heads * headSize must be hiddenSize: " + heads + " * " + headSize + " is not " + hiddenSize + ".");
        }
        if (rotaryDims < 0 || rotaryDims % 2 != 0 || rotaryDims > headSize) {
            throw new IllegalArgumentException(
                    "rotaryDims must be even and at most headSize = " + headSize + ": " + rotaryDims + ".");
        }
    }

    /** Whether a decoder of this shape has the slot. */
    public boolean has(WeightSlot slot) {
        return switch (slot) {
            case FFN_NORM_WEIGHT, FFN_NORM_BIAS -> !sharedNorm;
            case QKV_BIAS, DENSE_BIAS -> attentionBias;
            case FC1_BIAS, FC2_BIAS -> ffnBias;
            case HEAD_WEIGHT -> !tiedHead;
            case HEAD_BIAS -> headBias;
            default -> true;
        };
    }

    /** Rows of a slot; a vector has as many rows as elements. */
    public int rows(WeightSlot slot) {
        return switch (slot) {
            case EMBEDDING, HEAD_WEIGHT, HEAD_BIAS -> vocabSize;
            case QKV_WEIGHT, QKV_BIAS -> Math.multiplyExact(3, hiddenSize);
            case FC1_WEIGHT, FC1_BIAS -> ffnSize;
            default -> hiddenSize;
        };
    }

    /** Columns of a slot, 1 for a vector. */
    public int columns(WeightSlot slot) {
        return switch (slot) {
            case EMBEDDING, QKV_WEIGHT, DENSE_WEIGHT, FC1_WEIGHT, HEAD_WEIGHT -> hiddenSize;
            case FC2_WEIGHT -> ffnSize;
            default -> 1;
        };
    }

    /** Number of weights, a tied head counted once: the figure that model cards state. */
    public long parameterCount() {
        long count = 0;
        for (WeightSlot slot : WeightSlot.values()) {
            if (has(slot)) {
                count += (slot.isPerLayer() ? layers : 1L) * rows(slot) * columns(slot);
            }
        }
        return count;
    }

    /**
     * Bytes that keys and values of one token take over all layers.
     *
     * @param elementBytes bytes of one element of the cache, for example 2 for bfloat16
     */
    public long kvBytesPerToken(int elementBytes) {
        return 2L * layers * hiddenSize * elementBytes;
    }

    private static void requirePositive(String name, int value) {
        if (value <= 0) {
            throw new IllegalArgumentException(name + " must be positive: " + value + ".");
        }
    }
}
