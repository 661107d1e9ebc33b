package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipFile;
import org.dolly4j.bench.RandomCheckpoint.Format;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.Family;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RandomCheckpointTest {
    @TempDir
    private Path folder;

    private Checkpoint write(String name, Format format, DType dtype, long seed, int threads) throws IOException {
        RandomCheckpoint.write(folder.resolve(name), ModelShape.TINY, format, dtype, 0.02, seed, threads);
        return Checkpoint.open(folder.resolve(name));
    }

    private static ByteBuffer read(TensorLocation tensor) throws IOException {
        try (FileChannel file = FileChannel.open(tensor.path())) {
            return file.map(FileChannel.MapMode.READ_ONLY, tensor.offset(), tensor.length())
                    .order(ByteOrder.LITTLE_ENDIAN);
        }
    }

    private static Map<String, Long> checksums(Checkpoint checkpoint) throws IOException {
        Map<String, Long> checksums = new HashMap<>();
        for (TensorLocation tensor : checkpoint.tensors().values()) {
            CRC32 checksum = new CRC32();
            checksum.update(read(tensor));
            checksums.put(tensor.name(), checksum.getValue());
        }
        return checksums;
    }

    @ParameterizedTest
    @EnumSource(Format.class)
    void everyFormat_isReadAsTheModelItSays(Format format) throws IOException {
        DecoderSpec spec =
                Family.planFor(write("m", format, DType.BFLOAT16, 0, 2)).spec();
        assertThat(spec.layers()).isEqualTo(2);
        assertThat(spec.hiddenSize()).isEqualTo(64);
        assertThat(spec.vocabSize()).isEqualTo(50280);
        assertThat(spec.rotaryDims()).isEqualTo(4);
    }

    @Test
    void formats_holdTheSameWeights_whateverTheThreads() throws IOException {
        Map<String, Long> single = checksums(write("single", Format.SAFETENSORS, DType.BFLOAT16, 5, 1));
        Map<String, Long> sharded = checksums(write("sharded", Format.SHARDED, DType.BFLOAT16, 5, 4));
        Checkpoint bin = write("bin", Format.BIN, DType.BFLOAT16, 5, 3);
        Checkpoint shardedBin = write("sharded_bin", Format.SHARDED_BIN, DType.BFLOAT16, 5, 3);
        assertThat(shardedBin.tensors().values().stream()
                        .map(TensorLocation::path)
                        .distinct())
                .hasSize(3);
        assertThat(checksums(shardedBin)).isEqualTo(checksums(bin));
        assertThat(sharded).isEqualTo(single);
        assertThat(bin.tensors()).containsKeys(single.keySet().toArray(String[]::new));
        assertThat(checksums(bin)).containsAllEntriesOf(single);
        assertThat(checksums(write("other", Format.SAFETENSORS, DType.BFLOAT16, 6, 1)))
                .doesNotContainEntry("embed_out.weight", single.get("embed_out.weight"));
    }

    @Test
    void sharded_hasSeveralFiles() throws IOException {
        assertThat(write("m", Format.SHARDED, DType.BFLOAT16, 0, 2).tensors().values())
                .extracting(TensorLocation::path)
                .extracting(path -> path.getFileName().toString())
                .contains("model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors");
    }

    @Test
    void weights_haveTheDeviationOfAnUntrainedModel() throws IOException {
        Checkpoint float32 = write("f32", Format.SAFETENSORS, DType.FLOAT32, 0, 2);
        Checkpoint bfloat16 = write("bf16", Format.SAFETENSORS, DType.BFLOAT16, 0, 2);
        String name = "gpt_neox.embed_in.weight";
        ByteBuffer exact = read(float32.tensors().get(name));
        ByteBuffer rounded = read(bfloat16.tensors().get(name));
        double sum = 0;
        double squares = 0;
        int count = 50280 * 64;
        for (int i = 0; i < count; i++) {
            float x = exact.getFloat();
            float y = Float.intBitsToFloat(rounded.getShort() << 16);
            assertThat(Math.abs(x - y)).isLessThanOrEqualTo(Math.abs(x) / 256);
            sum += x;
            squares += (double) x * x;
        }
        assertThat(sum / count).isBetween(-1e-4, 1e-4);
        assertThat(Math.sqrt(squares / count)).isBetween(0.0198, 0.0202);
    }

    /** The JDK's reader checks names, sizes and CRC-32 of every entry; the published files hold masks too. */
    @Test
    void bin_isAWholeZipFile_withTheOldBuffers() throws IOException {
        Checkpoint checkpoint = write("m", Format.BIN, DType.BFLOAT16, 0, 2);
        int entries = 0;
        try (ZipFile zip = new ZipFile(folder.resolve("m/pytorch_model.bin").toFile())) {
            for (var entry : List.copyOf(Collections.list(zip.entries()))) {
                CRC32 checksum = new CRC32();
                try (var in = zip.getInputStream(entry)) {
                    checksum.update(in.readAllBytes());
                }
                assertThat(checksum.getValue()).as(entry.getName()).isEqualTo(entry.getCrc());
                entries++;
            }
        }
        assertThat(entries).isEqualTo(3 + checkpoint.tensors().size());
        assertThat(checkpoint.tensors().values()).allMatch(tensor -> tensor.offset() % 64 == 0);
        TensorLocation mask = checkpoint.tensors().get("gpt_neox.layers.1.attention.bias");
        assertThat(mask.shape()).containsExactly(1L, 1L, 2048L, 2048L);
        ByteBuffer rows = read(mask);
        assertThat(rows.get(2048 * 7 + 7)).isEqualTo((byte) 1);
        assertThat(rows.get(2048 * 7 + 8)).isEqualTo((byte) 0);
    }

    @Test
    void folderThatHoldsFiles_isNotTouched() throws IOException {
        Path file = Files.writeString(folder.resolve("mine.txt"), "x");
        assertThatThrownBy(
                        () -> RandomCheckpoint.write(folder, ModelShape.TINY, Format.BIN, DType.BFLOAT16, 0.02, 0, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("is not empty");
        assertThat(folder).isDirectoryContaining(file::equals);
    }
}
