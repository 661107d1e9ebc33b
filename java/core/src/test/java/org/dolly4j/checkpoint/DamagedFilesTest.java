package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever bytes a file has, reading it gives locations inside the file or a CheckpointException, nothing else. */
class DamagedFilesTest {
    private static final int CASES = 4000;
    private static final int[] TELLING_BYTES = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '[', '(', 't', 'R', 'Q', 'h', '.'};

    @TempDir
    private Path folder;

    @Test
    void damagedSafetensors_areRefusedOrReadInsideTheFile() throws IOException {
        Path path = SafetensorsTest.write(
                folder.resolve("m.safetensors"),
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                        + "\"b\":{\"dtype\":\"BF16\",\"shape\":[5],\"data_offsets\":[24,34]}}",
                34);
        damage(path, Safetensors::read, "a", "b");
    }

    @Test
    void damagedTorchZips_areRefusedOrReadInsideTheFile() throws IOException {
        byte[] pickle = TestPickle.stateDict()
                .text("a")
                .tensor("FloatStorage", "0", 6, 0, new long[] {2, 3}, new long[] {3, 1})
                .text("b")
                .tensor("FloatStorage", "0", 6, 1, new long[] {2, 1}, new long[] {1, 2})
                .endDict();
        for (TestZip zip : new TestZip[] {new TestZip(), new TestZip().zip64()}) {
            zip.add("m/data.pkl", pickle).add("m/byteorder", "little").add("m/data/0", new byte[24]);
            damage(Files.write(folder.resolve("m.bin"), zip.bytes()), TorchFile::read, "a", "b");
        }
    }

    @Test
    void damagedFilesBeforePyTorch16_areRefusedOrReadInsideTheFile() throws IOException {
        byte[] bytes = new TorchLegacyTest.Builder().bytes();
        damage(Files.write(folder.resolve("m.bin"), bytes), TorchFile::read, "a", "b", "c");
    }

    private static void damage(Path path, Function<Path, Map<String, TensorLocation>> read, String... names)
            throws IOException {
        byte[] whole = Files.readAllBytes(path);
        assertThat(read.apply(path)).containsOnlyKeys(names);
        Random random = new Random(1);
        int refused = 0;
        for (int n = 0; n < CASES; n++) {
            byte[] damaged = whole.clone();
            for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
                damaged[random.nextInt(damaged.length)] = (byte) TELLING_BYTES[random.nextInt(TELLING_BYTES.length)];
            }
            // In place: replacing a file makes some file systems wait for the disk.
            Files.write(path, damaged, StandardOpenOption.WRITE);
            try {
                for (TensorLocation tensor : read.apply(path).values()) {
                    assertThat(tensor.offset()).isNotNegative();
                    assertThat(tensor.length()).isBetween(0L, damaged.length - tensor.offset());
                }
            } catch (CheckpointException e) {
                assertThat(e).hasMessageStartingWith(path + ": ");
                refused++;
            }
        }
        assertThat(refused).as("of %d damaged files", CASES).isGreaterThan(CASES / 2);
    }
}
