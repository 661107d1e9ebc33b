package org.dolly4j.model;

import java.util.Map;
import java.util.Optional;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.ConfigValues;

/**
 * Reads config.json of GPT-NeoX into a {@link DecoderSpec}. Keys, defaults and precedence are those of Hugging Face's
 * {@code GPTNeoXConfig}, but for the sizes of the network, which must be stated: its defaults are those of the 20B
 * model.
 */
final class GptNeoXConfig {
    private static final int MAX_LAYERS = 1_000;
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_HEADS = 1 << 16;
    private static final int MAX_HEAD_SIZE = 1 << 16;
    private static final int MAX_VOCABULARY = 1 << 24;
    private static final int MAX_CONTEXT = 1 << 20;

    private static final int DEFAULT_CONTEXT = 2048;
    private static final double DEFAULT_ROTARY_SHARE = 0.25;
    private static final double DEFAULT_ROTARY_BASE = 10_000;
    private static final double DEFAULT_NORM_EPSILON = 1e-5;

    private static final Map<String, Activation> ACTIVATIONS = Map.of(
            "gelu", Activation.GELU_ERF,
            "gelu_new", Activation.GELU_TANH,
            "gelu_fast", Activation.GELU_TANH,
            "gelu_pytorch_tanh", Activation.GELU_TANH);

    private final ConfigValues config;

    private GptNeoXConfig(ConfigValues config) {
        this.config = config;
    }

    /** Whether config.json asks for the embedding as output head. */
    static boolean tieWordEmbeddings(ConfigValues config) {
        return config.bool("tie_word_embeddings").orElse(false);
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
        if (config.has("quantization_config")) {
            throw config.refuse(
                    "quantization_config", "says that the weights are quantized. Get the model in its original form.");
        }
        int hiddenSize = config.requiredInt("hidden_size", 1, MAX_WIDTH);
        int heads = config.requiredInt("num_attention_heads", 1, MAX_HEADS);
        if (hiddenSize % heads != 0) {
            throw config.refuse(
                    "hidden_size", "must be a multiple of num_attention_heads: %d is none of %d.", hiddenSize, heads);
        }
        int headSize = hiddenSize / heads;
        if (headSize > MAX_HEAD_SIZE) {
            throw config.refuse(
                    "num_attention_heads",
                    "= %d makes heads of %d; at most %d are supported.",
                    heads,
                    headSize,
                    MAX_HEAD_SIZE);
        }
        return new DecoderSpec(
                config.requiredInt("num_hidden_layers", 1, MAX_LAYERS),
                hiddenSize,
                heads,
                headSize,
                config.requiredInt("intermediate_size", 1, MAX_WIDTH),
                config.requiredInt("vocab_size", 1, MAX_VOCABULARY),
                config.integer("max_position_embeddings", 1, MAX_CONTEXT).orElse(DEFAULT_CONTEXT),
                rotaryDims(headSize),
                rotaryBase(),
                activation(),
                normEpsilon(),
                config.bool("use_parallel_residual").orElse(true),
                false,
                config.bool("attention_bias").orElse(true),
                true,
                false,
                tiedHead);
    }

    private Activation activation() {
        String name = config.string("hidden_act").orElse("gelu");
        return Optional.ofNullable(ACTIVATIONS.get(name))
                .orElseThrow(() -> config.refuse(
                        "hidden_act",
                        "is '%s', which is not supported; supported: %s.",
                        name,
                        String.join(", ", ACTIVATIONS.keySet().stream().sorted().toList())));
    }

    private double normEpsilon() {
        double epsilon = config.number("layer_norm_eps").orElse(DEFAULT_NORM_EPSILON);
        if (epsilon <= 0 || epsilon >= 1) {
            throw config.refuse("layer_norm_eps", "must be above 0 and below 1, but is %s.", epsilon);
        }
        return epsilon;
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
