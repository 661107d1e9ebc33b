package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.runtime.AvailableMemory;
import org.dolly4j.runtime.MemoryPlan;
import org.dolly4j.runtime.MemoryPlan.Caching;
import org.dolly4j.runtime.MemoryPlan.SessionSize;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The models that were published, by the values of their config.json. Parameters in all and without the two vocabulary
 * matrices: for Pythia 70m to 12b as its paper states them (table 1), for GPT-NeoX-20B in all as its paper does, for
 * GPT-J as its model card; the others, the cache and the weights follow from the shapes.
 */
class PublishedModelsTest {
    @TempDir
    private Path folder;

    private DecoderSpec spec(Family family, String json) throws IOException {
        ConfigValues config = ConfigValues.read(Files.writeString(folder.resolve("config.json"), json));
        assertThat(Family.of(config)).isSameAs(family);
        return ((NamedTensors) family).spec(config, false);
    }

    /** Weights take what a number takes in their type, and so the whole. The embedding is not quantised. */
    private static void assertWeightsFollow(DecoderSpec spec) {
        double embedding = (double) spec.vocabSize() * spec.hiddenSize();
        double others = spec.parameterCount() - embedding;
        for (WeightType type : WeightType.values()) {
            ModelOptions options = new ModelOptions(type, Backend.KERNELS, "cpu", 1, false);
            MemoryPlan plan =
                    MemoryPlan.of(spec, options, new SessionSize(128, 256, 64), Caching.NONE, AvailableMemory.now());
            double expected =
                    switch (type) {
                        case FLOAT32 -> 4 * (embedding + others);
                        case BFLOAT16 -> 2 * (embedding + others);
                        case INT8 -> 2 * embedding + others;
                        case INT4 -> 2 * embedding + others / 2;
                    };
            // More for scales, for norms and biases, which are float32, and for matrices that are filled up.
            double most = type.isQuantised() ? 1.25 : 1.02;
            assertThat(plan.weights().total() / expected).as("%s", type).isBetween(1.0, most);
            assertThat(plan.kvCacheTokens()).isEqualTo(2048);
            assertThat(plan.totalBytes()).isGreaterThan(plan.weights().total() + plan.kvCacheBytes());
        }
    }

    @ParameterizedTest
    @CsvSource(
            textBlock =
                    """
            # model,     hidden, layers, heads, ffn,   vocabulary, activation, head, rotated, parameters, without vocabulary, KiB of KV a token
            pythia-14m,  128,    6,      4,     512,   50304,      gelu,       32,   8,       14067712,    1189888,     3
            pythia-31m,  256,    6,      8,     1024,  50304,      gelu,       32,   8,       30494720,    4739072,     6
            pythia-70m,  512,    6,      8,     2048,  50304,      gelu,       64,   16,      70426624,    18915328,    12
            pythia-160m, 768,    12,     12,    3072,  50304,      gelu,       64,   16,      162322944,   85056000,    36
            pythia-410m, 1024,   24,     16,    4096,  50304,      gelu,       64,   16,      405334016,   302311424,   96
            pythia-1b,   2048,   16,     8,     8192,  50304,      gelu,       256,  64,      1011781632,  805736448,   128
            pythia-1.4b, 2048,   24,     16,    8192,  50304,      gelu,       128,  32,      1414647808,  1208602624,  192
            pythia-2.8b, 2560,   32,     32,    10240, 50304,      gelu,       80,   20,      2775208960,  2517652480,  320
            pythia-6.9b, 4096,   32,     32,    16384, 50432,      gelu,       128,  32,      6857302016,  6444163072,  512
            pythia-12b,  5120,   36,     40,    20480, 50688,      gelu,       128,  32,      11846072320, 11327027200, 720
            dolly-v2-3b, 2560,   32,     32,    10240, 50280,      gelu,       80,   20,      2775086080,  2517652480,  320
            dolly-v2-7b, 4096,   32,     32,    16384, 50280,      gelu,       128,  32,      6856056832,  6444163072,  512
            dolly-v2-12b,5120,   36,     40,    20480, 50280,      gelu,       128,  32,      11841894400, 11327027200, 720
            gpt-neox-20b,6144,   44,     64,    24576, 50432,      gelu_fast,  96,   24,      20554567680, 19934859264, 1056
            """)
    void gptNeoX(
            String model,
            int hidden,
            int layers,
            int heads,
            int ffn,
            int vocabulary,
            String activation,
            int headSize,
            int rotated,
            long parameters,
            long withoutVocabulary,
            long cacheKib)
            throws IOException {
        String json =
                """
                {"model_type": "gpt_neox", "hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": %d,
                 "intermediate_size": %d, "vocab_size": %d, "max_position_embeddings": 2048, "rotary_pct": 0.25,
                 "rotary_emb_base": 10000, "hidden_act": "%s", "layer_norm_eps": 1e-05,
                 "use_parallel_residual": true, "tie_word_embeddings": false}
                """
                        .formatted(hidden, layers, heads, ffn, vocabulary, activation);
        DecoderSpec spec = spec(Family.GPT_NEOX, json);
        assertThat(spec.headSize()).isEqualTo(headSize);
        assertThat(spec.rotaryDims()).isEqualTo(rotated);
        assertThat(spec.activation()).isEqualTo(activation.equals("gelu") ? Activation.GELU_ERF : Activation.GELU_TANH);
        assertThat(spec.parallelResidual()).isTrue();
        assertThat(spec.sharedNorm()).isFalse();
        assertThat(spec.attentionBias()).isTrue();
        assertThat(spec.headBias()).isFalse();
        assertThat(spec.parameterCount()).isEqualTo(parameters);
        assertThat(spec.parameterCount() - 2L * vocabulary * hidden).isEqualTo(withoutVocabulary);
        assertThat(spec.kvBytesPerToken(Short.BYTES)).isEqualTo(cacheKib << 10);
        assertWeightsFollow(spec);
    }

    /** Dolly v1's training adds three keys to GPT-J's vocabulary, and changes nothing else of its shape. */
    @ParameterizedTest
    @CsvSource({"gpt-j-6b, 50400, 6050882784", "dolly-v1-6b, 50403, 6050907363"})
    void gptJ(String model, int vocabulary, long parameters) throws IOException {
        String json =
                """
                {"model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_inner": null, "vocab_size": %d,
                 "n_positions": 2048, "rotary": true, "rotary_dim": 64, "activation_function": "gelu_new",
                 "layer_norm_epsilon": 1e-05, "tie_word_embeddings": false}
                """
                        .formatted(vocabulary);
        DecoderSpec spec = spec(Family.GPT_J, json);
        assertThat(spec.headSize()).isEqualTo(256);
        assertThat(spec.ffnSize()).isEqualTo(16384);
        assertThat(spec.rotaryDims()).isEqualTo(64);
        assertThat(spec.activation()).isEqualTo(Activation.GELU_TANH);
        assertThat(spec.sharedNorm()).isTrue();
        assertThat(spec.attentionBias()).isFalse();
        assertThat(spec.headBias()).isTrue();
        assertThat(spec.parameterCount()).isEqualTo(parameters);
        assertThat(spec.kvBytesPerToken(Short.BYTES)).isEqualTo(448 << 10);
        assertWeightsFollow(spec);
    }
}
