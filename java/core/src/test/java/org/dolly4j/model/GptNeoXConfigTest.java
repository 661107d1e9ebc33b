package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.UnaryOperator;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.ConfigValues;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GptNeoXConfigTest {
    /** The layout of databricks/dolly-v2-3b's config.json. */
    private static final String DOLLY_3B =
            """
            {
              "architectures": ["GPTNeoXForCausalLM"],
              "bos_token_id": 0,
              "eos_token_id": 0,
              "hidden_act": "gelu",
              "hidden_size": 2560,
              "initializer_range": 0.02,
              "intermediate_size": 10240,
              "layer_norm_eps": 1e-05,
              "max_position_embeddings": 2048,
              "model_type": "gpt_neox",
              "num_attention_heads": 32,
              "num_hidden_layers": 32,
              "rotary_emb_base": 10000,
              "rotary_pct": 0.25,
              "tie_word_embeddings": false,
              "torch_dtype": "bfloat16",
              "use_cache": true,
              "use_parallel_residual": true,
              "vocab_size": 50280
            }
            """;

    @TempDir
    private Path folder;

    private DecoderSpec spec(String json) throws IOException {
        return GptNeoXConfig.spec(ConfigValues.read(Files.writeString(folder.resolve("config.json"), json)), false);
    }

    /** The spec of Dolly's config.json with one line changed. */
    private DecoderSpec changed(String line, String replacement) throws IOException {
        UnaryOperator<String> change = json -> json.replace(line, replacement);
        assertThat(change.apply(DOLLY_3B)).isNotEqualTo(DOLLY_3B);
        return spec(change.apply(DOLLY_3B));
    }

    @Test
    void dolly3b_isReadWhole() throws IOException {
        assertThat(spec(DOLLY_3B)).isEqualTo(PublishedSpecs.DOLLY_V2_3B);
    }

    @Test
    void absentTraits_haveHuggingFacesDefaults() throws IOException {
        DecoderSpec spec = spec("{\"num_hidden_layers\":1,\"hidden_size\":64,\"num_attention_heads\":4,"
                + "\"intermediate_size\":256,\"vocab_size\":320}");
        assertThat(spec)
                .isEqualTo(new DecoderSpec(
                        1,
                        64,
                        4,
                        16,
                        256,
                        320,
                        2048,
                        4,
                        10_000,
                        Activation.GELU_ERF,
                        1e-5,
                        true,
                        false,
                        true,
                        true,
                        false,
                        false));
    }

    @Test
    void traits_areRead() throws IOException {
        assertThat(changed("\"use_parallel_residual\": true", "\"use_parallel_residual\": false")
                        .parallelResidual())
                .isFalse();
        DecoderSpec noBias = changed("\"use_cache\"", "\"attention_bias\": false, \"use_cache\"");
        assertThat(noBias.attentionBias()).isFalse();
        assertThat(noBias.ffnBias()).isTrue();
        assertThat(changed("1e-05", "0.001").normEpsilon()).isEqualTo(0.001);
        assertThat(changed("2048", "512").contextLength()).isEqualTo(512);
    }

    @ParameterizedTest
    @CsvSource({"gelu_new, GELU_TANH", "gelu_fast, GELU_TANH", "gelu_pytorch_tanh, GELU_TANH"})
    void activations_areRead(String name, Activation activation) throws IOException {
        assertThat(changed("\"gelu\"", '"' + name + '"').activation()).isEqualTo(activation);
    }

    /** 2^16 is what the native library takes. */
    @Test
    void moreHeadsOrLargerOnesThanTheLibraryTakes_areRefused() {
        assertThatThrownBy(() -> changed("\"num_attention_heads\": 32", "\"num_attention_heads\": 65537"))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll("num_attention_heads", "65,536", "65537");
        assertThatThrownBy(() -> spec("{\"num_hidden_layers\":1,\"hidden_size\":131074,\"num_attention_heads\":2,"
                        + "\"intermediate_size\":256,\"vocab_size\":320}"))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("num_attention_heads = 2 makes heads of 65537; at most 65536");
    }

    @Test
    void otherActivations_areRefusedByName() {
        assertThatThrownBy(() -> changed("\"gelu\"", "\"relu\""))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("config.json: hidden_act is 'relu', which is not supported")
                .hasMessageContaining("gelu, gelu_fast, gelu_new, gelu_pytorch_tanh");
    }

    /** 80 * 0.4 is 32 dimensions; 80 * 0.335 = 26.8 is cut to 26, as Python's int() does. */
    @ParameterizedTest
    @CsvSource({"0.4, 32", "0.335, 26", "1.0, 80", "0.025, 2"})
    void rotaryShare_isCutToWholeDimensions(String share, int dims) throws IOException {
        assertThat(changed("\"rotary_pct\": 0.25", "\"rotary_pct\": " + share).rotaryDims())
                .isEqualTo(dims);
    }

    @Test
    void rotaryShareThatCanNotBeRotated_isRefused() {
        assertThatThrownBy(() -> changed("\"rotary_pct\": 0.25", "\"rotary_pct\": 0.2625"))
                .hasMessageContaining("rotary_pct = 0.2625 rotates 21 of the 80 dimensions");
        for (String share : new String[] {"0", "-0.25", "1.01"}) {
            assertThatThrownBy(() -> changed("\"rotary_pct\": 0.25", "\"rotary_pct\": " + share))
                    .as(share)
                    .hasMessageContaining("rotary_pct must be above 0 and at most 1");
        }
        assertThatThrownBy(() -> changed("\"rotary_pct\": 0.25", "\"rotary_pct\": 0.001"))
                .hasMessageContaining("rotates 0 of the 80 dimensions");
    }

    @Test
    void newerLayout_isReadAndWins() throws IOException {
        DecoderSpec newer = changed(
                "\"use_cache\"",
                "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 25000, "
                        + "\"partial_rotary_factor\": 0.4}, \"use_cache\"");
        assertThat(newer.rotaryDims()).isEqualTo(32);
        assertThat(newer.rotaryBase()).isEqualTo(25000);
    }

    @Test
    void newerLayout_takesWhatItLacksFromTheClassicOne() throws IOException {
        DecoderSpec spec = changed("\"use_cache\"", "\"rope_parameters\": {}, \"use_cache\"");
        assertThat(spec.rotaryDims()).isEqualTo(20);
        assertThat(spec.rotaryBase()).isEqualTo(10_000);
    }

    @Test
    void ropeScaling_ofTheDefaultKind_isReadAndWins() throws IOException {
        DecoderSpec spec = changed(
                "\"use_cache\"",
                "\"rope_parameters\": {\"rope_theta\": 3}, \"rope_scaling\": {\"type\": \"default\", \"rope_theta\": 7}, "
                        + "\"use_cache\"");
        assertThat(spec.rotaryBase()).isEqualTo(7);
        assertThat(changed("\"use_cache\"", "\"rope_scaling\": null, \"use_cache\"")
                        .rotaryBase())
                .isEqualTo(10_000);
    }

    @Test
    void otherRopeKinds_areRefusedByName() {
        assertThatThrownBy(() -> changed(
                        "\"use_cache\"", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}, \"use_cache\""))
                .hasMessageContaining("rope_scaling.type is 'linear', which is not supported");
        assertThatThrownBy(
                        () -> changed("\"use_cache\"", "\"rope_parameters\": {\"rope_type\": \"yarn\"}, \"use_cache\""))
                .hasMessageContaining("rope_parameters.rope_type is 'yarn', which is not supported");
    }

    @ParameterizedTest
    @CsvSource({
        "'\"num_hidden_layers\": 32', '\"num_hidden_layers\": -1', num_hidden_layers must be a whole number from 1",
        "'\"num_hidden_layers\": 32', '\"num_hidden_layers\": 0', num_hidden_layers must be a whole number from 1",
        "'\"num_hidden_layers\": 32', '\"num_hidden_layers\": 1e9', num_hidden_layers must be a whole number from 1",
        "'\"num_hidden_layers\": 32,', '', num_hidden_layers is missing",
        "'2560', '2561', hidden_size must be a multiple of num_attention_heads: 2561 is none of 32",
        "'2560', '9223372036854775807', hidden_size must be a whole number",
        "'\"num_attention_heads\": 32', '\"num_attention_heads\": 0', num_attention_heads must be a whole number",
        "'10240', '-5', intermediate_size must be a whole number",
        "'50280', '99999999', vocab_size must be a whole number",
        "'2048', '0', max_position_embeddings must be a whole number",
        "'1e-05', '0', layer_norm_eps must be above 0",
        "'1e-05', '\"x\"', layer_norm_eps must be a finite number",
        "'10000,', '0,', rotary_emb_base must be above 0",
        "'\"use_cache\"', '\"quantization_config\": {}, \"use_cache\"', quantization_config says that the weights"
    })
    void valuesThatCanNotBe_areRefusedByKey(String line, String replacement, String message) {
        assertThatThrownBy(() -> changed(line, replacement))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("config.json: " + message);
    }

    @Test
    void families_areChosenByModelType() throws IOException {
        Path config = folder.resolve("config.json");
        Files.writeString(config, DOLLY_3B);
        assertThat(Family.of(ConfigValues.read(config))).isSameAs(Family.GPT_NEOX);
        Files.writeString(config, "{\"model_type\": \"gptj\"}");
        assertThat(Family.of(ConfigValues.read(config))).isSameAs(Family.GPT_J);
        Files.writeString(config, "{\"model_type\": \"llama\"}");
        assertThatThrownBy(() -> Family.of(ConfigValues.read(config)))
                .hasMessageContaining("model_type is 'llama', which is not supported. Supported: 'gpt_neox'");
        Files.writeString(config, "{}");
        assertThatThrownBy(() -> Family.of(ConfigValues.read(config))).hasMessageContaining("model_type is missing");
    }
}
