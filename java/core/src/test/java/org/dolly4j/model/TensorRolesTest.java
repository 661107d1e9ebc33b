package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.checkpoint.TensorLocation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorRolesTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens/models/checkpoints");
    private static final String EMBEDDING = "gpt_neox.embed_in.weight";
    private static final String HEAD = "embed_out.weight";

    @TempDir
    private Path folder;

    /** A golden with a tensor more, and a line of config.json more. */
    private TensorRoles roles(String golden, String configLine, TensorLocation... more) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(GOLDENS.resolve(golden));
        Map<String, TensorLocation> tensors = new LinkedHashMap<>(checkpoint.tensors());
        for (TensorLocation tensor : more) {
            tensors.put(tensor.name(), tensor);
        }
        String json = Files.readString(checkpoint.config().file())
                .replaceFirst("\"tie_word_embeddings\": [a-z]+,", "")
                .replaceFirst("\\{", "{" + configLine);
        ConfigValues config = ConfigValues.read(Files.writeString(folder.resolve("config.json"), json));
        return Family.of(config)
                .roles(new Checkpoint(
                        checkpoint.folder(), checkpoint.format(), config, checkpoint.generationConfig(), tensors));
    }

    private static TensorLocation renamed(String golden, String name, String newName) {
        TensorLocation tensor =
                Checkpoint.open(GOLDENS.resolve(golden)).tensors().get(name);
        return new TensorLocation(
                newName,
                tensor.path(),
                tensor.offset(),
                tensor.length(),
                tensor.dtype(),
                tensor.shape(),
                tensor.strides());
    }

    @Test
    void buffers_areThoseOfEveryLayer() throws IOException {
        TensorRoles roles = roles("neox-sequential-fp16-legacy-buffers", "");
        assertThat(roles.buffers())
                .contains("gpt_neox.layers.1.attention.masked_bias", "gpt_neox.layers.0.attention.bias")
                .hasSize(6);
        assertThat(roles.redundant()).hasSameElementsAs(roles.buffers());
        assertThat(roles.unknown()).isEmpty();
    }

    @Test
    void tiedHead_isRedundantOnlyIfConfigTiesIt() throws IOException {
        String golden = "neox-v5config-odd";
        TensorLocation head = renamed(golden, EMBEDDING, HEAD);
        assertThat(roles(golden, "\"tie_word_embeddings\": true,", head).redundant())
                .containsExactly(HEAD);
        assertThat(roles(golden, "", head).redundant()).isEmpty();
        assertThat(roles(golden, "\"tie_word_embeddings\": true,").redundant()).isEmpty();
    }

    @Test
    void unknownTensors_areNamedAndNotRedundant() throws IOException {
        String golden = "gptj-bf16-hd80-long";
        TensorRoles roles = roles(golden, "", renamed(golden, "transformer.ln_f.weight", "value_head.weight"));
        assertThat(roles.unknown()).containsExactly("value_head.weight");
        assertThat(roles.redundant()).isEmpty();
        assertThat(roles(golden, "").unknown()).isEqualTo(List.of());
    }
}
