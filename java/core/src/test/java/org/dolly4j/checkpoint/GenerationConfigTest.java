package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerationConfigTest {
    @TempDir
    private Path folder;

    private GenerationConfig read(String json) throws IOException {
        return GenerationConfig.of(
                ConfigValues.read(Files.writeString(folder.resolve("generation_config.json"), json)));
    }

    @Test
    void everyValue_isRead() throws IOException {
        GenerationConfig config = read(
                """
                {"eos_token_id": [50277, 0], "temperature": 0.7, "min_p": 0.05, "typical_p": 0.9,
                "epsilon_cutoff": 0.0003, "eta_cutoff": 0.0006, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3,
                "bad_words_ids": [[5], [6, 7]], "suppress_tokens": [8], "begin_suppress_tokens": [9, 10],
                "min_length": 11, "min_new_tokens": 12, "sequence_bias": [[[13, 14], -1.5], [[15], 2]],
                "forced_bos_token_id": 16, "forced_eos_token_id": [17, 18], "stop_strings": ["### End"], "num_beams": 4,
                "length_penalty": 2, "early_stopping": true, "num_return_sequences": 3, "renormalize_logits": true}
                """);
        assertThat(config)
                .isEqualTo(new GenerationConfig(
                        folder.resolve("generation_config.json"),
                        List.of(50277, 0),
                        OptionalDouble.of(0.7),
                        OptionalDouble.of(0.05),
                        OptionalDouble.of(0.9),
                        OptionalDouble.of(0.0003),
                        OptionalDouble.of(0.0006),
                        Map.of(List.of(13, 14), -1.5, List.of(15), 2.0),
                        OptionalDouble.of(1.1),
                        OptionalInt.of(3),
                        List.of(List.of(5), List.of(6, 7)),
                        List.of(8),
                        List.of(9, 10),
                        OptionalInt.of(11),
                        OptionalInt.of(12),
                        OptionalInt.of(16),
                        List.of(17, 18),
                        List.of("### End"),
                        OptionalInt.of(4),
                        OptionalDouble.of(2),
                        Optional.of("true"),
                        OptionalInt.of(3),
                        Optional.of(true)));
    }

    @Test
    void endTokens_mayBeOneNumber() throws IOException {
        assertThat(read("{\"eos_token_id\": 0}").eosTokenIds()).containsExactly(0);
    }

    @Test
    void nothingStated_isNeutral() throws IOException {
        GenerationConfig config = read("{\"guidance_scale\": null}");
        assertThat(config.eosTokenIds()).isEmpty();
        assertThat(config.temperature()).isEmpty();
        assertThat(config.minNewTokens()).isEmpty();
        assertThat(read("{\"sequence_bias\": {}, \"forced_eos_token_id\": null}")
                        .sequenceBias())
                .isEmpty();
    }

    @Test
    void whatIsNotSupported_isIgnoredByName_unlessItChangesNothing() throws IOException {
        assertThat(
                        ignored(
                                """
                        {"encoder_no_repeat_ngram_size": 3, "max_time": 10,
                        "remove_invalid_values": true, "prompt_lookup_num_tokens": 10,
                        "guidance_scale": "strong", "watermarking_config": {"bias": 2.0}}
                        """))
                .containsExactly(
                        "encoder_no_repeat_ngram_size",
                        "guidance_scale",
                        "max_time",
                        "prompt_lookup_num_tokens",
                        "remove_invalid_values",
                        "watermarking_config");
        assertThat(
                        ignored(
                                """
                        {"num_beams": 4, "num_beam_groups": 1, "guidance_scale": 1.0,
                        "diversity_penalty": 0.0, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1,
                        "remove_invalid_values": false, "force_words_ids": [], "penalty_alpha": 0, "token_healing": false, "top_p": 0.5}
                        """))
                .isEmpty();
    }

    private List<String> ignored(String json) throws IOException {
        return GenerationConfig.ignored(
                ConfigValues.read(Files.writeString(folder.resolve("generation_config.json"), json)));
    }

    @Test
    void valueOfTheWrongType_isRefusedByKey() {
        assertThatThrownBy(() -> read("{\"temperature\": \"hot\"}"))
                .hasMessageContaining("generation_config.json: temperature must be a finite number");
        assertThatThrownBy(() -> read("{\"eos_token_id\": [0, -1]}")).hasMessageContaining("eos_token_id");
        assertThatThrownBy(() -> read("{\"sequence_bias\": {\"5\": 1}}")).hasMessageContaining("sequence_bias must be");
        assertThatThrownBy(() -> read("{\"sequence_bias\": [[5, 1]]}")).hasMessageContaining("sequence_bias must be");
        assertThatThrownBy(() -> read("{\"sequence_bias\": [[[5], \"1\"]]}"))
                .hasMessageContaining("sequence_bias must be a finite number");
    }
}
