package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dolly4j.checkpoint.ConfigValues;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The models that were published, by the values of their config.json. Numbers of parameters are those of the model
 * cards (Pythia's and GPT-J's; GPT-NeoX-20B's of the paper; Dolly's follow from Pythia's with fewer rows of
 * vocabulary), sizes of cache and weights follow from the shapes.
 */
class PublishedModelsTest {
    @TempDir
    private Path folder;

    private DecoderSpec spec(Family family, String json) throws IOException {
        ConfigValues config = ConfigValues.read(Files.writeString(folder.resolve("config.json"), json));
        assertThat(Family.of(config)).isSameAs(family);
        return ((NamedTensors) family).spec(config, false);
    }

    @ParameterizedTest
    @CsvSource(
            textBlock =
                    """
            # model,     hidden, layers, heads, ffn,   vocabulary, head, rotated, parameters,  KiB of KV a token
            pythia-14m,  128,    6,      4,     512,   50304,      32,   8,       14067712,    3
            pythia-31m,  256,    6,      8,     1024,  50304,      32,   8,       30494720,    6
            pythia-70m,  512,    6,      8,     2048,  50304,      64,   16,      70426624,    12
            pythia-160m, 768,    12,     12,    3072,  50304,      64,   16,      162322944,   36
            pythia-410m, 1024,   24,     16,    4096,  50304,      64,   16,      405334016,   96
            pythia-1b,   2048,   16,     8,     8192,  50304,      256,  64,      1011781632,  128
            pythia-1.4b, 2048,   24,     16,    8192,  50304,      128,  32,      1414647808,  192
            pythia-2.8b, 2560,   32,     32,    10240, 50304,      80,   20,      2775208960,  320
            pythia-6.9b, 4096,   32,     32,    16384, 50432,      128,  32,      6857302016,  512
            pythia-12b,  5120,   36,     40,    20480, 50688,      128,  32,      11846072320, 720
            dolly-v2-3b, 2560,   32,     32,    10240, 50280,      80,   20,      2775086080,  320
            dolly-v2-7b, 4096,   32,     32,    16384, 50280,      128,  32,      6856056832,  512
            dolly-v2-12b,5120,   36,     40,    20480, 50280,      128,  32,      11841894400, 720
            gpt-neox-20b,6144,   44,     64,    24576, 50432,      96,   24,      20554567680, 1056
            """)
    void gptNeoX(
            String model,
            int hidden,
            int layers,
            int heads,
            int ffn,
            int vocabulary,
            int headSize,
            int rotated,
            long parameters,
            long cacheKib)
            throws IOException {
        String json =
                """
                {"model_type": "gpt_neox", "hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": %d,
                 "intermediate_size": %d, "vocab_size": %d, "max_position_embeddings": 2048, "rotary_pct": 0.25,
                 "rotary_emb_base": 10000, "hidden_act": "gelu", "layer_norm_eps": 1e-05,
                 "use_parallel_residual": true, "tie_word_embeddings": false}
                """
                        .formatted(hidden, layers, heads, ffn, vocabulary);
        DecoderSpec spec = spec(Family.GPT_NEOX, json);
        assertThat(spec.headSize()).isEqualTo(headSize);
        assertThat(spec.rotaryDims()).isEqualTo(rotated);
        assertThat(spec.activation()).isEqualTo(Activation.GELU_ERF);
        assertThat(spec.parallelResidual()).isTrue();
        assertThat(spec.sharedNorm()).isFalse();
        assertThat(spec.attentionBias()).isTrue();
        assertThat(spec.headBias()).isFalse();
        assertThat(spec.parameterCount()).isEqualTo(parameters);
        assertThat(spec.kvBytesPerToken(Short.BYTES)).isEqualTo(cacheKib << 10);
    }

    /** GPT-J 6B, and Dolly v1 6b, which has its configuration. */
    @Test
    void gptJ() throws IOException {
        String json =
                """
                {"model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_inner": null, "vocab_size": 50400,
                 "n_positions": 2048, "rotary": true, "rotary_dim": 64, "activation_function": "gelu_new",
                 "layer_norm_epsilon": 1e-05, "tie_word_embeddings": false}
                """;
        DecoderSpec spec = spec(Family.GPT_J, json);
        assertThat(spec.headSize()).isEqualTo(256);
        assertThat(spec.ffnSize()).isEqualTo(16384);
        assertThat(spec.rotaryDims()).isEqualTo(64);
        assertThat(spec.activation()).isEqualTo(Activation.GELU_TANH);
        assertThat(spec.sharedNorm()).isTrue();
        assertThat(spec.attentionBias()).isFalse();
        assertThat(spec.headBias()).isTrue();
        assertThat(spec.parameterCount()).isEqualTo(6_050_882_784L);
        assertThat(spec.kvBytesPerToken(Short.BYTES)).isEqualTo(448 << 10);
    }
}
