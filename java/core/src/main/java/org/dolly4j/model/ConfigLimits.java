package org.dolly4j.model;

import java.util.Map;
import java.util.Optional;
import org.dolly4j.checkpoint.ConfigValues;

/** What config.json may say in every family: the limits are far above any model, so that sums of sizes stay small. */
final class ConfigLimits {
    static final int MAX_LAYERS = 1_000;
    static final int MAX_WIDTH = 1 << 20;
    static final int MAX_HEADS = 1 << 16;
    static final int MAX_VOCABULARY = 1 << 24;
    static final int MAX_CONTEXT = 1 << 20;

    static final int DEFAULT_CONTEXT = 2048;

    private static final int MAX_HEAD_SIZE = 1 << 16;
    private static final double DEFAULT_NORM_EPSILON = 1e-5;

    private static final Map<String, Activation> ACTIVATIONS = Map.of(
            "gelu", Activation.GELU_ERF,
            "gelu_new", Activation.GELU_TANH,
            "gelu_fast", Activation.GELU_TANH,
            "gelu_pytorch_tanh", Activation.GELU_TANH);

    private ConfigLimits() {}

    /** Refuses weights that are quantized already. */
    static void requireUnquantized(ConfigValues config) {
        if (config.has("quantization_config")) {
            throw config.refuse(
                    "quantization_config", "says that the weights are quantized. Get the model in its original form.");
        }
    }

    /** Width of a head. */
    static int headSize(ConfigValues config, String hiddenKey, int hiddenSize, String headsKey, int heads) {
        if (hiddenSize % heads != 0) {
            throw config.refuse(hiddenKey, "must be a multiple of %s: %d is none of %d.", headsKey, hiddenSize, heads);
        }
        int headSize = hiddenSize / heads;
        if (headSize > MAX_HEAD_SIZE) {
            throw config.refuse(
                    headsKey, "= %d makes heads of %d; at most %d are supported.", heads, headSize, MAX_HEAD_SIZE);
        }
        return headSize;
    }

    /** The activation that a key names. */
    static Activation activation(ConfigValues config, String key, String standard) {
        String name = config.string(key).orElse(standard);
        return Optional.ofNullable(ACTIVATIONS.get(name))
                .orElseThrow(() -> config.refuse(
                        key,
                        "is '%s', which is not supported; supported: %s.",
                        name,
                        String.join(", ", ACTIVATIONS.keySet().stream().sorted().toList())));
    }

    /** What is added to variances. */
    static double normEpsilon(ConfigValues config, String key) {
        double epsilon = config.number(key).orElse(DEFAULT_NORM_EPSILON);
        if (epsilon <= 0 || epsilon >= 1) {
            throw config.refuse(key, "must be above 0 and below 1, but is %s.", epsilon);
        }
        return epsilon;
    }
}
