package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShardIndexTest {
    @TempDir
    private Path folder;

    @BeforeEach
    void writeShards() throws IOException {
        writeShard("s1.safetensors", "a");
        writeShard("s2.safetensors", "b");
    }

    private void writeShard(String file, String tensor) throws IOException {
        SafetensorsTest.write(
                folder.resolve(file),
                "{\"" + tensor + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
                1);
    }

    private Path index(String json) throws IOException {
        return Files.writeString(folder.resolve("model.safetensors.index.json"), json);
    }

    private static Map<String, TensorLocation> read(Path index) {
        return ShardIndex.read(index, ".safetensors", Safetensors::read);
    }

    private AbstractThrowableAssert<?, ?> assertRefused(String json) throws IOException {
        Path index = index(json);
        return assertThatThrownBy(() -> read(index))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(folder.toString());
    }

    @Test
    void tensors_comeFromTheFilesTheIndexNames() throws IOException {
        var tensors = read(
                index(
                        "{\"metadata\":{\"total_size\":2},\"weight_map\":{\"b\":\"s2.safetensors\",\"a\":\"s1.safetensors\"}}"));
        assertThat(tensors).containsOnlyKeys("a", "b");
        assertThat(tensors.get("a").path()).isEqualTo(folder.resolve("s1.safetensors"));
        assertThat(tensors.get("b").path()).isEqualTo(folder.resolve("s2.safetensors"));
    }

    @Test
    void fileOutsideOfTheFolder_isRefused() throws IOException {
        Path neighbour = Files.createDirectory(folder.resolve("neighbour"));
        Files.copy(folder.resolve("s1.safetensors"), neighbour.resolve("s1.safetensors"));
        for (String name : new String[] {
            "../neighbour/s1.safetensors",
            "neighbour/s1.safetensors",
            "neighbour\\\\s1.safetensors",
            neighbour.resolve("s1.safetensors").toString(),
            "C:s1.safetensors",
            "..",
            "",
            "s1.safetensors\\u0000",
            ".safetensors",
            "s1.bin"
        }) {
            assertRefused("{\"weight_map\":{\"a\":\"" + name + "\"}}")
                    .as(name)
                    .hasMessageContaining("tensor 'a' is said to be in")
                    .hasMessageContaining("in the folder of the index");
        }
    }

    @Test
    void missingFile_isNamed() throws IOException {
        assertRefused("{\"weight_map\":{\"a\":\"s3.safetensors\"}}").hasMessageContaining("'s3.safetensors'");
    }

    @Test
    void tensorThatIsNotWhereTheIndexSays_isNamed() throws IOException {
        assertRefused("{\"weight_map\":{\"a\":\"s1.safetensors\",\"c\":\"s2.safetensors\"}}")
                .hasMessageContaining("tensor 'c' is not in 's2.safetensors'");
        assertRefused("{\"weight_map\":{\"a\":\"s2.safetensors\",\"b\":\"s1.safetensors\"}}")
                .hasMessageContaining("tensor 'a' is not in 's2.safetensors'");
    }

    @Test
    void tensorInTwoFiles_isRefused() throws IOException {
        writeShard("s2.safetensors", "a");
        assertRefused("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\"}}")
                .hasMessageContaining("tensor 'a' is in 's1.safetensors' and in 's2.safetensors'");
    }

    @Test
    void tensorNamedTwice_isRefused() throws IOException {
        assertRefused("{\"weight_map\":{\"a\":\"s1.safetensors\",\"a\":\"s1.safetensors\"}}")
                .hasMessageContaining("names the tensor 'a' twice");
    }

    @Test
    void indexWithoutAWeightMap_isRefused() throws IOException {
        assertRefused("{}").hasMessageContaining("no weight_map");
        assertRefused("{\"weight_map\":{}}").hasMessageContaining("no weight_map");
        assertRefused("{\"weight_map\":[]}").hasMessageContaining("can't be read");
        assertRefused("{\"weight_map\":{\"a\":1").hasMessageContaining("said to be in '1'");
        assertRefused("").hasMessageContaining("can't be read");
    }
}
