package org.dolly4j.model;

import java.util.Optional;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.ConfigValues;

/**
 * Reads config.json of GPT-NeoX into a {@link DecoderSpec}. Keys, defaults and precedence are those of Hugging Face's
 * {@code GPTNeoXConfig}, but for the sizes of the network, which must be stated: its defaults are those of the 20B
 * model.
 */
final class GptNeoXConfig {
    private static final double DEFAULT_ROTARY_SHARE = 0.25;
    private static final double DEFAULT_ROTARY_BASE = 10_000;

    private final ConfigValues config;

    private GptNeoXConfig(ConfigValues config) {
        this.config = config;
    }

    /**
     * The decoder that config.json describes.
     *
     * @param tiedHead whether the head is the embedding, which the tensors decide
     * @throws CheckpointException if a value is missing, out of range or of a kind that is not supported
     */
    static DecoderSpec spec(ConfigValues config, boolean tiedHead) {
        return new GptNeoXConfig(config).spec(tiedHead);
    }

    private DecoderSpec spec(boolean tiedHead) {
        ConfigLimits.requireUnquantized(config);
        int hiddenSize = config.requiredInt("hidden_size", 1, ConfigLimits.MAX_WIDTH);
        int heads = config.requiredInt("num_attention_heads", 1, ConfigLimits.MAX_HEADS);
        int headSize = ConfigLimits.headSize(config, "hidden_size", hiddenSize, "num_attention_heads", heads);
        return new DecoderSpec(
                config.requiredInt("num_hidden_layers", 1, ConfigLimits.MAX_LAYERS),
                hiddenSize,
                heads,
                headSize,
                config.requiredInt("intermediate_size", 1, ConfigLimits.MAX_WIDTH),
                config.requiredInt("vocab_size", 1, ConfigLimits.MAX_VOCABULARY),
                config.integer("max_position_embeddings", 1, ConfigLimits.MAX_CONTEXT)
                        .orElse(ConfigLimits.DEFAULT_CONTEXT),
                rotaryDims(headSize),
                rotaryBase(),
                ConfigLimits.activation(config, "hidden_act", "gelu"),
                ConfigLimits.normEpsilon(config, "layer_norm_eps"),
                config.bool("use_parallel_residual").orElse(true),
                false,
                config.bool("attention_bias").orElse(true),
                true,
                false,
                tiedHead);
    }

    /** {@code int(head_size * share)}, as Hugging Face computes it. */
    private int rotaryDims(int headSize) {
        Optional<ConfigValues> nested = rotaryValues();
        Setting share = setting(nested, "partial_rotary_factor", "rotary_pct", DEFAULT_ROTARY_SHARE);
        if (share.value <= 0 || share.value > 1) {
            throw share.source.refuse(share.key, "must be above 0 and at most 1, but is %s.", share.value);
        }
        int dims = (int) (headSize * share.value);
        if (dims == 0 || dims % 2 != 0) {
            throw share.source.refuse(
                    share.key,
                    "= %s rotates %d of the %d dimensions of a head; an even number above 0 is needed.",
                    share.value,
                    dims,
                    headSize);
        }
        return dims;
    }

    private double rotaryBase() {
        Setting base = setting(rotaryValues(), "rope_theta", "rotary_emb_base", DEFAULT_ROTARY_BASE);
        if (base.value <= 0) {
            throw base.source.refuse(base.key, "must be above 0, but is %s.", base.value);
        }
        return base.value;
    }

    /** A number and the key that states it, for messages. */
    private record Setting(ConfigValues source, String key, double value) {}

    /**
     * The nested value of the newer layout if there is one, else the flat value of the classic one, else the default.
     */
    private Setting setting(Optional<ConfigValues> nested, String nestedKey, String classicKey, double standard) {
        if (nested.isPresent() && nested.get().has(nestedKey)) {
            return new Setting(
                    nested.get(), nestedKey, nested.get().number(nestedKey).getAsDouble());
        }
        return new Setting(config, classicKey, config.number(classicKey).orElse(standard));
    }

    /** The nested values of the newer layout: {@code rope_scaling} if not empty, else {@code rope_parameters}. */
    private Optional<ConfigValues> rotaryValues() {
        Optional<ConfigValues> scaling =
                config.object("rope_scaling").filter(values -> !values.keys().isEmpty());
        Optional<ConfigValues> nested = scaling.isPresent() ? scaling : config.object("rope_parameters");
        nested.ifPresent(values -> {
            String key = values.has("rope_type") ? "rope_type" : "type";
            String type = values.string(key).orElse("default");
            if (!type.equals("default")) {
                throw values.refuse(key, "is '%s', which is not supported; supported: 'default'.", type);
            }
        });
        return nested;
    }
}
