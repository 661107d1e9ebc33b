package org.dolly4j.model;

import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.ConfigValues;

/**
 * Reads config.json of GPT-J into a {@link DecoderSpec}. Keys and defaults are those of Hugging Face's {@code
 * GPTJConfig}, but for the sizes of the network, which must be stated.
 */
final class GptJConfig {
    private static final int DEFAULT_ROTARY_DIMS = 64;
    private static final double ROTARY_BASE = 10_000;

    /** Times as wide as the residual stream the feed-forward block is, if config.json does not say. */
    private static final int FFN_FACTOR = 4;

    private GptJConfig() {}

    /**
     * The decoder that config.json describes.
     *
     * @param tiedHead whether the head is the embedding, which the tensors decide
     * @throws CheckpointException if a value is missing, out of range or of a kind that is not supported
     */
    static DecoderSpec spec(ConfigValues config, boolean tiedHead) {
        ConfigLimits.requireUnquantized(config);
        int hiddenSize = config.requiredInt("n_embd", 1, ConfigLimits.MAX_WIDTH);
        int heads = config.requiredInt("n_head", 1, ConfigLimits.MAX_HEADS);
        int headSize = ConfigLimits.headSize(config, "n_embd", hiddenSize, "n_head", heads);
        return new DecoderSpec(
                config.requiredInt("n_layer", 1, ConfigLimits.MAX_LAYERS),
                hiddenSize,
                heads,
                headSize,
                config.integer("n_inner", 1, ConfigLimits.MAX_WIDTH).orElse(FFN_FACTOR * hiddenSize),
                config.requiredInt("vocab_size", 1, ConfigLimits.MAX_VOCABULARY),
                config.integer("n_positions", 1, ConfigLimits.MAX_CONTEXT).orElse(ConfigLimits.DEFAULT_CONTEXT),
                rotaryDims(config, headSize),
                ROTARY_BASE,
                ConfigLimits.activation(config, "activation_function", "gelu_new"),
                ConfigLimits.normEpsilon(config, "layer_norm_epsilon"),
                true,
                true,
                false,
                true,
                true,
                tiedHead);
    }

    private static int rotaryDims(ConfigValues config, int headSize) {
        String key = "rotary_dim";
        if (config.keys().contains(key) && !config.has(key)) {
            throw config.refuse(key, "is null, with which Hugging Face's GPT-J does not run either. State a number.");
        }
        int dims = config.integer(key, 1, ConfigLimits.MAX_WIDTH).orElse(DEFAULT_ROTARY_DIMS);
        if (dims > headSize || dims % 2 != 0) {
            throw config.refuse(
                    key, "= %d must be an even number of at most the %d dimensions of a head.", dims, headSize);
        }
        return dims;
    }
}
