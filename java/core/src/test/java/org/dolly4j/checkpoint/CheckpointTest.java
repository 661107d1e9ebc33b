package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.zip.CRC32;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CheckpointTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens/models/checkpoints");

    @TempDir
    private Path folder;

    private static String tensor(String dtype, int elements, int begin, int end) {
        return "{\"dtype\":\"" + dtype + "\",\"shape\":[" + elements + "],\"data_offsets\":[" + begin + "," + end
                + "]}";
    }

    private void writeConfig(String json) throws IOException {
        Files.writeString(folder.resolve("config.json"), json);
    }

    private void writeSafetensors(String tensorName) throws IOException {
        SafetensorsTest.write(
                folder.resolve("model.safetensors"), "{\"" + tensorName + "\":" + tensor("F32", 1, 0, 4) + "}", 4);
    }

    /** The checksums run over name and elements of every tensor, by name; made with Python's readers. */
    @ParameterizedTest
    @CsvSource({
        "neox-gelunew-bf16-hd64-rot50,        SAFETENSORS_SHARDED, BFLOAT16, 28, 473eaf88",
        "gptj-bf16-hd80-long,                 BIN_SHARDED,         BFLOAT16, 25, 458fc353",
        "neox-sequential-fp16-legacy-buffers, BIN,                 FLOAT16,  34, 2fe14a04",
        "neox-v5config-odd,                   SAFETENSORS,         FLOAT32,  28, 618457dd"
    })
    void golden_hasTheTensorsThatPythonReads(
            String name, WeightFormat format, DType dtype, int tensors, String checksum) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(GOLDENS.resolve(name));
        assertThat(checkpoint.format()).isEqualTo(format);
        assertThat(checkpoint.weightDType()).isEqualTo(dtype);
        assertThat(checkpoint.tensors()).hasSize(tensors);
        CRC32 crc = new CRC32();
        for (TensorLocation tensor : new TreeMap<>(checkpoint.tensors()).values()) {
            crc.update(tensor.name().getBytes(StandardCharsets.UTF_8));
            crc.update(TensorBytes.dense(tensor));
        }
        assertThat(String.format("%08x", crc.getValue())).isEqualTo(checksum);
    }

    @Test
    void safetensors_winOverOtherFormats() throws IOException {
        writeConfig("{}");
        writeSafetensors("single");
        Files.writeString(folder.resolve("model.safetensors.index.json"), "broken");
        Files.writeString(folder.resolve("pytorch_model.bin"), "broken");
        assertThat(Checkpoint.open(folder).tensors()).containsOnlyKeys("single");
        Files.delete(folder.resolve("model.safetensors"));
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContaining("model.safetensors.index.json");
        Files.delete(folder.resolve("model.safetensors.index.json"));
        assertThatThrownBy(() -> Checkpoint.open(folder)).hasMessageContaining("pytorch_model.bin");
    }

    @Test
    void generationConfig_comesFromItsFile_elseFromConfigJson() throws IOException {
        writeSafetensors("w");
        writeConfig("{\"eos_token_id\": 0, \"temperature\": 0.5}");
        assertThat(Checkpoint.open(folder).generationConfig().eosTokenIds()).containsExactly(0);
        assertThat(Checkpoint.open(folder).generationConfig().temperature()).hasValue(0.5);
        Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": [50277]}");
        assertThat(Checkpoint.open(folder).generationConfig().eosTokenIds()).containsExactly(50277);
        assertThat(Checkpoint.open(folder).generationConfig().temperature()).isEmpty();
    }

    @Test
    void weightDType_isThatOfMostBytes_notOfMasks() throws IOException {
        writeConfig("{}");
        String header = "{\"mask\":" + tensor("BOOL", 100, 0, 100) + ",\"freq\":" + tensor("F32", 3, 100, 112)
                + ",\"w\":" + tensor("BF16", 8, 112, 128) + "}";
        SafetensorsTest.write(folder.resolve("model.safetensors"), header, 128);
        assertThat(Checkpoint.open(folder).weightDType()).isEqualTo(DType.BFLOAT16);
    }

    @Test
    void checkpointWithoutFloatingPointTensors_hasNoWeightDType() throws IOException {
        writeConfig("{}");
        SafetensorsTest.write(folder.resolve("model.safetensors"), "{\"w\":" + tensor("I64", 1, 0, 8) + "}", 8);
        Checkpoint checkpoint = Checkpoint.open(folder);
        assertThatThrownBy(checkpoint::weightDType).isInstanceOf(CheckpointException.class);
    }

    @Test
    void folderWithoutConfigOrWeights_saysWhatItHolds() throws IOException {
        Files.writeString(folder.resolve("model.gguf"), "");
        assertThatThrownBy(() -> Checkpoint.open(folder))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("has no config.json")
                .hasMessageContaining("model.gguf");
        writeConfig("{}");
        assertThatThrownBy(() -> Checkpoint.open(folder))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("expected one of model.safetensors, model.safetensors.index.json, ")
                .hasMessageContaining("it holds config.json, model.gguf");
    }

    @Test
    void pathThatIsNoFolder_isRefused() throws IOException {
        for (Path path : List.of(folder.resolve("absent"), Files.createFile(folder.resolve("file")))) {
            assertThatThrownBy(() -> Checkpoint.open(path))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageContaining(path + ": is not a folder");
        }
    }

    @Test
    void tensors_canNotBeChanged() throws IOException {
        writeConfig("{}");
        writeSafetensors("w");
        var tensors = Checkpoint.open(folder).tensors();
        assertThatThrownBy(tensors::clear).isInstanceOf(UnsupportedOperationException.class);
    }
}
