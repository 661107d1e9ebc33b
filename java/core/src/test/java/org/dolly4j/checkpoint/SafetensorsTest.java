package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsTest {
    @TempDir
    private Path folder;

    /** Writes a file with this header and as many data bytes. */
    static Path write(Path path, String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        byte[] file = ByteBuffer.allocate(8 + json.length + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(json.length)
                .put(json)
                .array();
        return Files.write(path, file);
    }

    private Path write(String header, int dataBytes) throws IOException {
        return write(folder.resolve("model.safetensors"), header, dataBytes);
    }

    private AbstractThrowableAssert<?, ?> assertRefused(String header, int dataBytes) throws IOException {
        Path path = write(header, dataBytes);
        return assertThatThrownBy(() -> Safetensors.read(path))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(path + ": ");
    }

    @Test
    void everyDtype_isLocatedBehindTheHeader() throws IOException {
        String header =
                """
                {"__metadata__": {"format": "pt"},
                "f32": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                "f16": {"dtype": "F16", "shape": [3], "data_offsets": [24, 30]},
                "bf16": {"dtype": "BF16", "shape": [1, 1], "data_offsets": [30, 32]},
                "f64": {"dtype": "F64", "shape": [], "data_offsets": [32, 40]},
                "i64": {"dtype": "I64", "shape": [1], "data_offsets": [40, 48]},
                "i32": {"dtype": "I32", "shape": [1], "data_offsets": [48, 52]},
                "i16": {"dtype": "I16", "shape": [2], "data_offsets": [52, 56]},
                "i8": {"dtype": "I8", "shape": [1], "data_offsets": [56, 57]},
                "u8": {"dtype": "U8", "shape": [1], "data_offsets": [57, 58]},
                "bool": {"dtype": "BOOL", "shape": [2], "data_offsets": [58, 60]},
                "none": {"dtype": "F32", "shape": [0, 4], "data_offsets": [60, 60]}}\s\s\s""";
        Path path = write(header, 60);
        long data = 8L + header.getBytes(StandardCharsets.UTF_8).length;
        Map<String, TensorLocation> tensors = Safetensors.read(path);
        assertThat(tensors)
                .hasSize(11)
                .containsEntry(
                        "f32",
                        new TensorLocation("f32", path, data, 24, DType.FLOAT32, List.of(2L, 3L), List.of(3L, 1L)))
                .containsEntry(
                        "f64", new TensorLocation("f64", path, data + 32, 8, DType.FLOAT64, List.of(), List.of()));
        assertThat(tensors.values())
                .extracting(TensorLocation::dtype)
                .containsExactly(
                        DType.FLOAT32,
                        DType.FLOAT16,
                        DType.BFLOAT16,
                        DType.FLOAT64,
                        DType.INT64,
                        DType.INT32,
                        DType.INT16,
                        DType.INT8,
                        DType.UINT8,
                        DType.BOOL,
                        DType.FLOAT32);
        assertThat(tensors.get("none").length()).isZero();
    }

    @Test
    void tensorsBeyond4GiB_areLocated() throws IOException {
        long first = 5_000_000_000L;
        String header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[5000000000],\"data_offsets\":[0,5000000000]},"
                + "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[5000000000,5000000004]}}";
        Path path = write(header, 0);
        long data = Files.size(path);
        try (FileChannel sparse = FileChannel.open(path, StandardOpenOption.WRITE)) {
            sparse.write(ByteBuffer.wrap(new byte[] {1, 2, 3, 4}), data + first);
        }
        TensorLocation b = Safetensors.read(path).get("b");
        assertThat(b.offset()).isEqualTo(data + first);
        assertThat(TensorBytes.dense(b)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void headerLongerThanTheFile_namesBothLengths() throws IOException {
        Path path = write("{}", 0);
        Files.write(path, new byte[] {77, 0, 0, 0, 0, 0, 0, 0, '{', '}'});
        assertThatThrownBy(() -> Safetensors.read(path))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("header of 77 bytes but has only 2 bytes after the length")
                .hasMessageContaining("delete the file and load again");
    }

    @Test
    void absurdHeaderLength_isRefusedWithoutReadingIt() throws IOException {
        Path path = folder.resolve("model.safetensors");
        for (long length : new long[] {1L << 62, -1, Safetensors.MAX_HEADER_BYTES + 1}) {
            Files.write(
                    path,
                    ByteBuffer.allocate(16)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(length)
                            .array());
            assertThatThrownBy(() -> Safetensors.read(path))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageContaining(Long.toUnsignedString(length) + " bytes; at most 100,000,000 are accepted");
        }
    }

    @Test
    void fileShorterThanTheLengthField_isRefused() throws IOException {
        Path path = Files.write(folder.resolve("model.safetensors"), new byte[7]);
        assertThatThrownBy(() -> Safetensors.read(path)).hasMessageContaining("has 7 bytes");
    }

    @Test
    void rangePastTheEnd_namesTensorAndBothSizes() throws IOException {
        assertRefused("{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", 11)
                .hasMessageContaining("tensor 'w' ends at byte 12 of the data but the file has 11")
                .hasMessageContaining("probably incomplete");
    }

    @Test
    void shapeThatContradictsTheRange_isRefused() throws IOException {
        assertRefused("{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,12]}}", 12)
                .hasMessageContaining(
                        "tensor 'w' of shape [4] and dtype F32 needs 16 bytes but data_offsets give it 12");
    }

    @Test
    void shapeThatOverflows_isRefused_notWrapped() throws IOException {
        String size = "4294967296";
        assertRefused("{\"w\":{\"dtype\":\"F32\",\"shape\":[" + size + "," + size + "],\"data_offsets\":[0,0]}}", 0)
                .hasMessageContaining("too large to exist");
    }

    @Test
    void rangeThatEndsBeforeItBegins_isRefused() throws IOException {
        assertRefused("{\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,1]}}", 2)
                .hasMessageContaining("begins at byte 2 but ends at byte 1");
    }

    @Test
    void overlappingRanges_areRefused() throws IOException {
        assertRefused(
                        "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                                + "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
                        7)
                .hasMessageContaining("tensor 'b' overlaps");
    }

    @Test
    void bytesThatBelongToNoTensor_areRefused() throws IOException {
        assertRefused("{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", 5)
                .hasMessageContaining("1 bytes before tensor 'b' belong to no tensor");
        assertRefused("{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 6)
                .hasMessageContaining("2 bytes after the last tensor belong to no tensor");
    }

    @Test
    void nameTwice_isRefused() throws IOException {
        String tensor = "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
        assertRefused("{" + tensor + "," + tensor + "}", 0).hasMessageContaining("names the tensor 'a' twice");
    }

    @Test
    void unknownDtype_isRefusedByName() throws IOException {
        assertRefused("{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1)
                .hasMessageContaining("tensor 'w' has the dtype 'F8_E4M3'")
                .hasMessageContaining("BF16, BOOL, F16, F32, F64");
    }

    @Test
    void missingOrWrongFields_areRefused() throws IOException {
        assertRefused("{\"w\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1)
                .hasMessageContaining("tensor 'w' needs dtype");
        assertRefused("{\"w\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1)
                .hasMessageContaining("tensor 'w' needs dtype");
        assertRefused("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1)
                .hasMessageContaining("two data_offsets");
        for (String size : List.of("-1", "1.5", "1e3", "\"1\"", "99999999999999999999", "null", "[1]")) {
            assertRefused("{\"w\":{\"dtype\":\"U8\",\"shape\":[" + size + "],\"data_offsets\":[0,1]}}", 1)
                    .as(size)
                    .hasMessageContaining("whole numbers");
        }
    }

    @Test
    void headerThatIsNotOneJsonObject_isRefused() throws IOException {
        assertRefused("[]", 0).hasMessageContaining("not a JSON object");
        assertRefused("{} {}", 0).hasMessageContaining("can't be read");
        assertRefused("{\"w\": 1}", 0).hasMessageContaining("can't be read");
        assertRefused("{'w': {}}", 0).hasMessageContaining("can't be read");
        assertRefused("", 0).hasMessageContaining("can't be read");
        assertRefused("{\"__metadata__\":" + "[".repeat(100_000), 0).hasMessageContaining("can't be read");
    }

    @Test
    void headerThatIsNotUtf8_isRefused() throws IOException {
        byte[] file = {4, 0, 0, 0, 0, 0, 0, 0, '{', '"', (byte) 0xff, '"'};
        Path path = Files.write(folder.resolve("model.safetensors"), file);
        assertThatThrownBy(() -> Safetensors.read(path)).isInstanceOf(CheckpointException.class);
    }

    @Test
    void nameWithControlCharacters_isRefusedAndNotPrinted() throws IOException {
        assertRefused("{\"a\\u001b[2J\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0)
                .hasMessageContaining("tensor 'a?[2J'");
    }

    @Test
    void gitLfsPointer_isRefusedWithTheCommandThatHelps() throws IOException {
        Path path = Files.writeString(
                folder.resolve("model.safetensors"),
                "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5684548185\n");
        assertThatThrownBy(() -> Safetensors.read(path)).hasMessageContaining("git lfs pull");
    }

    @Test
    void folderOrMissingFile_isRefused() {
        assertThatThrownBy(() -> Safetensors.read(folder)).hasMessageContaining("is not a regular file");
        assertThatThrownBy(() -> Safetensors.read(folder.resolve("none.safetensors")))
                .hasMessageContaining("no such file");
    }
}
