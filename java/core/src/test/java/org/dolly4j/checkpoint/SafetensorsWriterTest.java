package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
    @TempDir
    private Path folder;

    private static SafetensorsWriter.Tensor tensor(String name, DType dtype, Long... shape) {
        return new SafetensorsWriter.Tensor(name, dtype, List.of(shape));
    }

    /** Writes each tensor as bytes of its place in the file. */
    private void write(SafetensorsWriter writer) throws IOException {
        writer.write(folder, (file, offsets) -> {
            byte number = 1;
            List<Long> begins = List.copyOf(offsets.values());
            for (int i = 0; i < begins.size(); i++) {
                long end = i + 1 < begins.size() ? begins.get(i + 1) : begins.get(i) + 4;
                byte[] data = new byte[(int) (end - begins.get(i))];
                Arrays.fill(data, number++);
                file.write(ByteBuffer.wrap(data), begins.get(i));
            }
        });
    }

    /** The expected bytes are those of Hugging Face's package. */
    @Test
    void oneFile_isOrderedByTypeAndName_andPaddedToEightBytes() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter(
                List.of(
                        tensor("mask", DType.BOOL, 4L),
                        tensor("b", DType.BFLOAT16, 2L),
                        tensor("z", DType.FLOAT32),
                        tensor("a", DType.FLOAT32, 1L, 1L)),
                1 << 20);
        write(writer);
        byte[] bytes = Files.readAllBytes(folder.resolve("model.safetensors"));
        String header = "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
                + "\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
                + "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                + "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[4],\"data_offsets\":[12,16]}}";
        int padded = (header.length() + 7) / 8 * 8;
        assertThat(bytes).hasSize(8 + padded + 16).startsWith((byte) padded, (byte) (padded >> 8));
        assertThat(new String(bytes, 8, padded, StandardCharsets.UTF_8))
                .isEqualTo(header + " ".repeat(padded - header.length()));
        assertThat(Arrays.copyOfRange(bytes, 8 + padded, bytes.length))
                .containsExactly(1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4);
        assertThat(writer.bytes()).isEqualTo(bytes.length);
        assertThat(folder).isDirectoryNotContaining("glob:**.json");
        assertThat(Safetensors.read(folder.resolve("model.safetensors"))).containsOnlyKeys("a", "z", "b", "mask");
    }

    /** The example in the documentation of huggingface_hub. */
    @Test
    void tensors_areCutIntoFilesInOrder_andALargeOneHasItsOwn() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter(
                List.of(
                        tensor("a", DType.UINT8, 6L),
                        tensor("b", DType.UINT8, 6L),
                        tensor("c", DType.UINT8, 2L),
                        tensor("huge", DType.UINT8, 11L),
                        tensor("d", DType.UINT8, 6L),
                        tensor("e", DType.UINT8, 2L),
                        tensor("f", DType.UINT8, 2L)),
                10);
        assertThat(writer.fileNames()).hasSize(4).contains("model-00004-of-00004.safetensors");
        writer.write(
                folder,
                (file, offsets) -> file.write(
                        ByteBuffer.allocate(11), offsets.values().iterator().next()));
        var index = JsonParser.parseString(Files.readString(folder.resolve("model.safetensors.index.json")))
                .getAsJsonObject();
        assertThat(index.getAsJsonObject("metadata").get("total_size").getAsInt())
                .isEqualTo(35);
        var files = index.getAsJsonObject("weight_map");
        assertThat(files.get("a").getAsString()).isEqualTo("model-00001-of-00004.safetensors");
        assertThat(files.get("huge").getAsString()).isEqualTo("model-00002-of-00004.safetensors");
        assertThat(files.get("b")).isEqualTo(files.get("c"));
        assertThat(files.get("b").getAsString()).isEqualTo("model-00003-of-00004.safetensors");
        assertThat(files.get("d")).isEqualTo(files.get("f"));
    }

    @Test
    void impossibleTensors_areRefused() {
        assertThatThrownBy(() -> tensor("__metadata__", DType.UINT8, 1L)).isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> new SafetensorsWriter(List.of(tensor("a", DType.FLOAT32, 1L << 40, 1L << 30)), 10))
                .isInstanceOf(ArithmeticException.class);
        SafetensorsWriter.Tensor huge = tensor("a", DType.UINT8, 1L << 62);
        assertThatThrownBy(() -> new SafetensorsWriter(List.of(huge, tensor("b", DType.UINT8, 1L << 62)), 10))
                .isInstanceOf(ArithmeticException.class);
    }
}
