package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchLegacyTest {
    @TempDir
    private Path folder;

    /** A file whose parts are right: two storages, three tensors, of which two share one. */
    static final class Builder {
        private byte[] version = TestPickle.protocol2().raw('M', 0xe9, 3, '.').toBytes();
        private byte[] machine = machine(true);
        private byte[] stateDict = TestPickle.stateDict()
                .text("a")
                .tensor("FloatStorage", "first", 6, 0, new long[] {2, 3}, new long[] {3, 1})
                .text("b")
                .tensor("HalfStorage", "second", 4, 1, new long[] {3}, new long[] {1})
                .text("c")
                .tensor("FloatStorage", "first", 6, 1, new long[] {2}, new long[] {3})
                .endDict();
        private byte[] keys = keys("second", "first");
        private byte[] storages = storages(storage(4, 8), storage(6, 24));

        static byte[] machine(boolean littleEndian) {
            return TestPickle.protocol2()
                    .raw('}', '(')
                    .text("protocol_version")
                    .raw('M', 0xe9, 3)
                    .text("little_endian")
                    .raw(littleEndian ? 0x88 : 0x89)
                    .raw('u', '.')
                    .toBytes();
        }

        static byte[] keys(String... keys) {
            TestPickle pickle = TestPickle.protocol2().raw(']', '(');
            for (String key : keys) {
                pickle.text(key);
            }
            return pickle.raw('e', '.').toBytes();
        }

        static byte[] storage(long elements, int bytes) {
            return ByteBuffer.allocate(Long.BYTES + bytes)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(elements)
                    .array();
        }

        static byte[] storages(byte[]... storages) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            for (byte[] storage : storages) {
                out.writeBytes(storage);
            }
            return out.toByteArray();
        }

        byte[] bytes() {
            return storages(TorchLegacy.MAGIC, new byte[] {'.'}, version, machine, stateDict, keys, storages);
        }
    }

    /** A file of one float32 matrix, the transpose of what is stored, of zeros that take no room on the disk. */
    static void writeTransposed(Path file, long rows, long columns) throws IOException {
        Builder builder = new Builder();
        builder.stateDict = TestPickle.stateDict()
                .text("a")
                .tensor("FloatStorage", "only", rows * columns, 0, new long[] {rows, columns}, new long[] {1, rows})
                .endDict();
        builder.keys = Builder.keys("only");
        builder.storages = Builder.storage(rows * columns, 0);
        Files.write(file, builder.bytes());
        try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
            open.setLength(open.length() + rows * columns * Float.BYTES);
        }
    }

    private Map<String, TensorLocation> read(byte[] bytes) throws IOException {
        return TorchFile.read(Files.write(folder.resolve("pytorch_model.bin"), bytes));
    }

    private AbstractThrowableAssert<?, ?> assertRefused(Builder builder) {
        return assertThatThrownBy(() -> read(builder.bytes()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(folder.resolve("pytorch_model.bin") + ": ");
    }

    @Test
    void tensors_areLocatedInTheirStorages() throws IOException {
        byte[] bytes = new Builder().bytes();
        Map<String, TensorLocation> tensors = read(bytes);
        assertThat(tensors).containsOnlyKeys("a", "b", "c");
        long first = bytes.length - 24L;
        assertThat(tensors.get("a").offset()).isEqualTo(first);
        assertThat(tensors.get("a").length()).isEqualTo(24);
        assertThat(tensors.get("c").offset()).isEqualTo(first + 4);
        assertThat(tensors.get("c").length()).isEqualTo(16);
        assertThat(tensors.get("b").offset()).isEqualTo(first - 8 - 8 + 2);
        assertThat(tensors.get("b").dtype()).isEqualTo(DType.FLOAT16);
    }

    @Test
    void shardsWithAnIndex_areReadAsOne() throws IOException {
        Files.write(folder.resolve("pytorch_model-00001-of-00002.bin"), new Builder().bytes());
        Builder second = new Builder();
        second.stateDict = TestPickle.stateDict()
                .text("d")
                .tensor("FloatStorage", "only", 2, 0, new long[] {2}, new long[] {1})
                .endDict();
        second.keys = Builder.keys("only");
        second.storages = ByteBuffer.allocate(16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(2)
                .putFloat(1.5f)
                .putFloat(-2)
                .array();
        Files.write(folder.resolve("pytorch_model-00002-of-00002.bin"), second.bytes());
        String first = "\"pytorch_model-00001-of-00002.bin\"";
        Files.writeString(
                folder.resolve("pytorch_model.bin.index.json"),
                "{\"metadata\": {}, \"weight_map\": {\"a\": " + first + ", \"b\": " + first + ", \"c\": " + first
                        + ", \"d\": \"pytorch_model-00002-of-00002.bin\"}}");
        Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"gpt_neox\"}");

        Checkpoint checkpoint = Checkpoint.open(folder);

        assertThat(checkpoint.format()).isEqualTo(WeightFormat.BIN_SHARDED);
        assertThat(checkpoint.tensors()).containsOnlyKeys("a", "b", "c", "d");
        assertThat(ByteBuffer.wrap(TensorBytes.dense(checkpoint.tensors().get("d")))
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .getFloat(4))
                .isEqualTo(-2);
    }

    /** Its persistent ids have a sixth part, which is None. */
    @Test
    void storageThatIsNoPartOfAnother_isRead() throws IOException {
        Builder builder = new Builder();
        TestPickle pickle = TestPickle.stateDict()
                .text("a")
                .global("torch._utils", "_rebuild_tensor_v2")
                .raw('(', '(')
                .text("storage")
                .global("torch", "FloatStorage")
                .text("first")
                .text("cpu")
                .number(6)
                .raw('N', 't', 'Q')
                .number(0)
                .numbers(6)
                .numbers(1)
                .raw(0x89)
                .global("collections", "OrderedDict")
                .raw(')', 'R', 't', 'R');
        builder.stateDict = pickle.endDict();
        builder.keys = Builder.keys("first");
        builder.storages = Builder.storage(6, 24);
        assertThat(read(builder.bytes())).containsOnlyKeys("a");
    }

    @Test
    void otherVersionOrByteOrder_isRefused() {
        Builder version = new Builder();
        version.version = TestPickle.protocol2().raw('M', 0xea, 3, '.').toBytes();
        assertRefused(version).hasMessageContaining("version 1002").hasMessageContaining("1001 is supported");
        version.version = TestPickle.protocol2().raw(']', '.').toBytes();
        assertRefused(version).hasMessageContaining("version a list");
        Builder machine = new Builder();
        machine.machine = Builder.machine(false);
        assertRefused(machine).hasMessageContaining("little-endian");
        machine.machine = TestPickle.protocol2().raw('K', 1, '.').toBytes();
        assertRefused(machine).hasMessageContaining("little-endian");
    }

    @Test
    void listOfStoragesThatDoesNotFit_isRefused() {
        Builder missing = new Builder();
        missing.keys = Builder.keys("second");
        assertRefused(missing).hasMessageContaining("needs the storage 'first', which it does not hold");
        Builder unknown = new Builder();
        unknown.keys = Builder.keys("second", "third", "first");
        assertRefused(unknown).hasMessageContaining("holds a storage, 'third', that no tensor is of");
        Builder twice = new Builder();
        twice.keys = Builder.keys("second", "second");
        twice.storages = Builder.storages(Builder.storage(4, 8), Builder.storage(4, 8));
        assertRefused(twice).hasMessageContaining("holds the storage 'second' twice");
        Builder number = new Builder();
        number.keys = TestPickle.protocol2().raw(']', 'K', 1, 'a', '.').toBytes();
        assertRefused(number).hasMessageContaining("holds a storage, a number,");
        Builder noList = new Builder();
        noList.keys = TestPickle.protocol2().text("first").raw('.').toBytes();
        assertRefused(noList).hasMessageContaining("has 'first' where the keys of its storages are expected");
    }

    @Test
    void storageOfAnotherLength_isRefused() {
        Builder count = new Builder();
        count.storages = Builder.storages(Builder.storage(5, 8), Builder.storage(6, 24));
        assertRefused(count).hasMessageContaining("storage 'second' should have 4 elements but has 5");
        Builder cut = new Builder();
        cut.storages = Arrays.copyOf(cut.storages, cut.storages.length - 1);
        assertRefused(cut)
                .hasMessageContaining("storage 'first' should have 24 bytes")
                .hasMessageContaining("download");
        cut.storages = Arrays.copyOf(cut.storages, 16);
        assertRefused(cut).hasMessageContaining("lies outside of the file");
    }

    @Test
    void codeInAnyOfThePickles_isRefused() {
        byte[] code = TestPickle.protocol2()
                .global("os", "system")
                .text("touch PWNED")
                .raw(0x85, 'R', '.')
                .toBytes();
        Builder builder = new Builder();
        builder.version = code;
        assertRefused(builder).hasMessageContaining("the version refers to os.system");
        builder = new Builder();
        builder.machine = code;
        assertRefused(builder).hasMessageContaining("refers to os.system");
        builder = new Builder();
        builder.stateDict = code;
        assertRefused(builder).hasMessageContaining("the state dict refers to os.system");
        builder = new Builder();
        builder.keys = code;
        assertRefused(builder).hasMessageContaining("the list of storages refers to os.system");
        builder = new Builder();
        builder.keys = TestPickle.protocol2().text("0").raw('Q', '.').toBytes();
        assertRefused(builder).hasMessageContaining("other than a storage");
    }

    @Test
    void fileThatEndsAnywhere_isRefused() throws IOException {
        byte[] whole = new Builder().bytes();
        for (int length = 0; length < whole.length; length++) {
            byte[] cut = Arrays.copyOf(whole, length);
            assertThatThrownBy(() -> read(cut)).as("%d bytes", length).isInstanceOf(CheckpointException.class);
        }
        assertThat(read(whole)).hasSize(3);
    }
}
