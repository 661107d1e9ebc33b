package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
                {"bos_token_id": 1, "eos_token_id": [50277, 0], "pad_token_id": 3, "do_sample": true,
                "temperature": 0.7, "top_k": 40, "top_p": 0.92, "min_p": 0.05, "typical_p": 0.9,
                "epsilon_cutoff": 0.0003, "eta_cutoff": 0.0006, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3,
                "bad_words_ids": [[5], [6, 7]], "suppress_tokens": [8], "begin_suppress_tokens": [9, 10],
                "min_length": 11, "min_new_tokens": 12, "max_length": 13, "max_new_tokens": 256,
                "stop_strings": ["### End"], "renormalize_logits": true, "num_beams": 4, "num_return_sequences": 2}
                """);
        assertThat(config)
                .isEqualTo(new GenerationConfig(
                        OptionalInt.of(1),
                        List.of(50277, 0),
                        OptionalInt.of(3),
                        Optional.of(true),
                        OptionalDouble.of(0.7),
                        OptionalInt.of(40),
                        OptionalDouble.of(0.92),
                        OptionalDouble.of(0.05),
                        OptionalDouble.of(0.9),
                        OptionalDouble.of(0.0003),
                        OptionalDouble.of(0.0006),
                        OptionalDouble.of(1.1),
                        OptionalInt.of(3),
                        List.of(List.of(5), List.of(6, 7)),
                        List.of(8),
                        List.of(9, 10),
                        OptionalInt.of(11),
                        OptionalInt.of(12),
                        OptionalInt.of(13),
                        OptionalInt.of(256),
                        List.of("### End"),
                        Optional.of(true),
                        OptionalInt.of(4),
                        OptionalInt.of(2)));
    }

    @Test
    void endTokens_mayBeOneNumber() throws IOException {
        assertThat(read("{\"eos_token_id\": 0}").eosTokenIds()).containsExactly(0);
    }

    @Test
    void nothingStated_isNeutral() throws IOException {
        GenerationConfig config = read("{\"guidance_scale\": null}");
        assertThat(config.eosTokenIds()).isEmpty();
        assertThat(config.doSample()).isEmpty();
        assertThat(config.temperature()).isEmpty();
        assertThat(config.maxNewTokens()).isEmpty();
    }

    @Test
    void minusOne_meansNoPaddingToken() throws IOException {
        assertThat(read("{\"pad_token_id\": -1}").padTokenId()).isEmpty();
    }

    @Test
    void valueOfTheWrongType_isRefusedByKey() {
        assertThatThrownBy(() -> read("{\"temperature\": \"hot\"}"))
                .hasMessageContaining("generation_config.json: temperature must be a finite number");
        assertThatThrownBy(() -> read("{\"eos_token_id\": [0, -1]}")).hasMessageContaining("eos_token_id");
    }
}
