package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.checkpoint.GenerationConfig;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamOptions.EarlyStopping;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DefaultSamplingTest {
    @TempDir
    private Path folder;

    private DefaultSampling of(String json) throws IOException {
        Path file = Files.writeString(folder.resolve("generation_config.json"), json);
        return new DefaultSampling(GenerationConfig.of(ConfigValues.read(file)));
    }

    @Test
    void whatHuggingFacePassesOver_isOff() throws IOException {
        for (String value : new String[] {"1.0", "1.5", "0", "-0.5"}) {
            assertThat(of("{\"epsilon_cutoff\": " + value + ", \"eta_cutoff\": " + value + "}")
                            .drawn())
                    .as(value)
                    .isEqualTo(SamplingOptions.dolly());
        }
        assertThat(of("{\"typical_p\": 1.0, \"top_p\": 7, \"do_sample\": false}")
                        .drawn())
                .isEqualTo(SamplingOptions.dolly());
        assertThat(of("{\"min_length\": -1, \"no_repeat_ngram_size\": -3}").drawn())
                .isEqualTo(SamplingOptions.dolly());
        assertThat(of("{\"typical_p\": 2.5}").drawn()).isEqualTo(SamplingOptions.dolly());
    }

    @Test
    void whatHuggingFaceRefuses_isRefusedByFileAndKey() throws IOException {
        for (String key : new String[] {"temperature", "min_p", "typical_p", "repetition_penalty"}) {
            DefaultSampling sampling = of("{\"" + key + "\": -1}");
            assertThatThrownBy(sampling::drawn)
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageStartingWith(folder.resolve("generation_config.json") + ": " + key + " = -1.0 must be ");
        }
        DefaultSampling emptyWord = of("{\"bad_words_ids\": [[]]}");
        assertThatThrownBy(emptyWord::greedy)
                .hasMessageContaining("generation_config.json: bad_words_ids = [[]] must be");
    }

    @Test
    void beams_areThoseOfTheFile_andItsOtherValuesTheDefaults() throws IOException {
        assertThat(of("{}").beams()).isEmpty();
        assertThat(of("{\"num_beams\": 1, \"length_penalty\": 2}").beams()).isEmpty();
        DefaultSampling sampling = of("{\"num_beams\": 4, \"length_penalty\": 2, \"early_stopping\": \"never\"}");
        assertThat(sampling.beams()).contains(new BeamOptions(4, 2, EarlyStopping.NEVER));
        assertThat(sampling.beams(3)).isEqualTo(new BeamOptions(3, 2, EarlyStopping.NEVER));
        assertThat(of("{\"early_stopping\": true}").beams(2)).isEqualTo(new BeamOptions(2, 1, EarlyStopping.WHEN_FULL));
        assertThat(of("{\"early_stopping\": false}").beams(2)).isEqualTo(BeamOptions.of(2));
        assertThatThrownBy(of("{\"num_beams\": 1000}")::beams)
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("generation_config.json: num_beams = 1000 must be from 1 to 64");
        assertThatThrownBy(of("{\"num_beams\": 2, \"early_stopping\": \"soon\"}")::beams)
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("generation_config.json: early_stopping = soon must be");
    }

    @Test
    void greedy_takesWhatCountsWithoutDraws() throws IOException {
        assertThat(of("{\"temperature\": -1, \"min_p\": 7, \"no_repeat_ngram_size\": 3, \"min_new_tokens\": 2}")
                        .greedy())
                .isEqualTo(SamplingOptions.builder()
                        .noRepeatNgramSize(3)
                        .minNewTokens(2)
                        .build());
    }
}
