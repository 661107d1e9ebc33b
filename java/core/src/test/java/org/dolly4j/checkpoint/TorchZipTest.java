package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchZipTest {
    private static final long[] SHAPE = {2, 3};
    private static final long[] STRIDES = {3, 1};
    private static final byte[] STORAGE = new byte[24];

    @TempDir
    private Path folder;

    private Map<String, TensorLocation> read(TestZip zip) throws IOException {
        return TorchFile.read(Files.write(folder.resolve("pytorch_model.bin"), zip.bytes()));
    }

    private static TestZip archive(byte[] pickle) {
        return new TestZip().add("archive/data.pkl", pickle).add("archive/data/0", STORAGE);
    }

    private AbstractThrowableAssert<?, ?> assertRefused(TestZip zip) {
        return assertThatThrownBy(() -> read(zip))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(folder.resolve("pytorch_model.bin") + ": ");
    }

    private AbstractThrowableAssert<?, ?> assertPickleRefused(TestPickle pickle) {
        return assertRefused(archive(pickle.toBytes()));
    }

    /** A state dict with one tensor 'w'. */
    private static TestPickle w(long elements, long first, long[] shape, long[] strides) {
        return TestPickle.stateDict().text("w").tensor("FloatStorage", "0", elements, first, shape, strides);
    }

    private static byte[] valid() {
        return w(6, 0, SHAPE, STRIDES).endDict();
    }

    @Test
    void storageTypes_giveTheDtype() throws IOException {
        Map<String, DType> types = Map.of(
                "FloatStorage", DType.FLOAT32,
                "HalfStorage", DType.FLOAT16,
                "BFloat16Storage", DType.BFLOAT16,
                "DoubleStorage", DType.FLOAT64,
                "LongStorage", DType.INT64,
                "IntStorage", DType.INT32,
                "ShortStorage", DType.INT16,
                "CharStorage", DType.INT8,
                "ByteStorage", DType.UINT8,
                "BoolStorage", DType.BOOL);
        for (var type : types.entrySet()) {
            int bytes = type.getValue().bytes();
            byte[] pickle = TestPickle.stateDict()
                    .text("w")
                    .tensor(type.getKey(), "7", 3, 1, new long[] {2}, new long[] {1})
                    .endDict();
            TensorLocation w = read(new TestZip()
                            .add("m/data.pkl", pickle)
                            .add("m/byteorder", "little")
                            .add("m/data/7", new byte[3 * bytes]))
                    .get("w");
            assertThat(w.dtype()).as(type.getKey()).isEqualTo(type.getValue());
            assertThat(w.length()).isEqualTo(2L * bytes);
        }
    }

    @Test
    void tensorsOfOneStorage_areLocatedInside() throws IOException {
        byte[] pickle = TestPickle.stateDict()
                .text("a")
                .tensor("FloatStorage", "0", 6, 0, SHAPE, STRIDES)
                .text("b")
                .tensor("FloatStorage", "0", 6, 1, new long[] {2}, new long[] {3})
                .endDict();
        Map<String, TensorLocation> tensors = read(archive(pickle));
        TensorLocation a = tensors.get("a");
        TensorLocation b = tensors.get("b");
        assertThat(b.offset()).isEqualTo(a.offset() + 4);
        assertThat(b.length()).isEqualTo(16);
        assertThat(b.strides()).containsExactly(3L);
    }

    /** What {@code torch.save(model.state_dict())} adds: the versions of modules as an attribute of the dict. */
    @Test
    void stateDictWithMetadata_isRead() throws IOException {
        TestPickle pickle = w(6, 0, SHAPE, STRIDES)
                .raw('u', '}')
                .text("_metadata")
                .global("collections", "OrderedDict")
                .raw(')', 'R', '(')
                .text("")
                .raw('}')
                .text("version")
                .raw('K', 1, 's', 'u', 's', 'b', '.');
        assertThat(read(archive(pickle.toBytes()))).containsOnlyKeys("w");
    }

    @Test
    void parameters_areReadAsTheirTensors() throws IOException {
        TestPickle pickle = TestPickle.stateDict()
                .text("w")
                .global("torch._utils", "_rebuild_parameter")
                .raw('(')
                .tensor("FloatStorage", "0", 6, 0, SHAPE, STRIDES)
                .raw(0x88)
                .global("collections", "OrderedDict")
                .raw(')', 'R', 't', 'R');
        assertThat(read(archive(pickle.endDict())).get("w").length()).isEqualTo(24);
    }

    /** Protocol 4 has frames, short texts, memoize and globals on the stack. */
    @Test
    void protocol4_isRead() throws IOException {
        byte[] pickle = HexFormat.of()
                .parseHex("8004" + "95" + "0000000000000000" + "7d94" + "8c0177" + "94"
                        + "8c0c" + hex("torch._utils") + "94" + "8c12" + hex("_rebuild_tensor_v2") + "94" + "9394"
                        + "28" + "28" + "8c07" + hex("storage") + "94"
                        + "8c05" + hex("torch") + "94" + "8c0c" + hex("FloatStorage") + "94" + "93"
                        + "8c0130" + "8c03" + hex("cpu") + "4b06" + "74" + "51"
                        + "4b00" + "4b024b0386" + "4b034b0186" + "89" + "7d" + "74" + "52" + "73" + "2e");
        assertThat(read(archive(pickle)).get("w").shape()).containsExactly(2L, 3L);
    }

    private static String hex(String text) {
        return HexFormat.of().formatHex(text.getBytes(StandardCharsets.US_ASCII));
    }

    @Test
    void globalThatAStateDictDoesNotNeed_isRefusedByName() {
        assertPickleRefused(TestPickle.protocol2()
                        .global("os", "system")
                        .text("touch PWNED")
                        .raw(0x85, 'R', '.'))
                .hasMessageContaining("archive/data.pkl refers to os.system")
                .hasMessageContaining("nothing in it was run");
        assertPickleRefused(TestPickle.protocol2()
                        .raw(0x8c, 2, 'o', 's', 0x8c, 6)
                        .raw("system".chars().toArray())
                        .raw(0x93))
                .hasMessageContaining("refers to os.system");
        assertPickleRefused(TestPickle.protocol2().global("torch", "QUInt8Storage"))
                .hasMessageContaining("refers to torch.QUInt8Storage");
    }

    @Test
    void callOfSomethingThatCannotBeCalled_isRefused() {
        assertPickleRefused(TestPickle.protocol2().text("x").raw(')', 'R')).hasMessageContaining("calls a text");
        assertPickleRefused(
                        TestPickle.protocol2().global("torch", "FloatStorage").raw(')', 'R'))
                .hasMessageContaining("calls FLOAT32");
        assertPickleRefused(TestPickle.protocol2()
                        .global("collections", "OrderedDict")
                        .raw('K', 1, 0x85, 'R'))
                .hasMessageContaining("calls collections.OrderedDict");
        assertPickleRefused(TestPickle.protocol2()
                        .global("torch._utils", "_rebuild_tensor_v2")
                        .raw(')', 'R'))
                .hasMessageContaining("calls torch._utils._rebuild_tensor_v2");
        assertPickleRefused(TestPickle.protocol2()
                        .global("torch._utils", "_rebuild_parameter")
                        .raw('N', 'N', 'N', 0x87, 'R'))
                .hasMessageContaining("calls torch._utils._rebuild_parameter");
        assertPickleRefused(TestPickle.protocol2()
                        .global("collections", "OrderedDict")
                        .raw('N', 'R'))
                .hasMessageContaining("calls collections.OrderedDict");
    }

    @Test
    void instructionsThatMakeObjects_areRefused() {
        for (int opcode : new int[] {'i', 'o', 0x81, 0x92, 0x82, 0x83, 0x84, 'P', 0x97, 0x00, 0xff}) {
            assertPickleRefused(TestPickle.protocol2().raw(opcode, 0, 0, 0, 0, 0))
                    .as("opcode 0x%02x", opcode)
                    .hasMessageContaining(String.format("the pickle instruction 0x%02x", opcode));
        }
    }

    @Test
    void stackAndMemoErrors_areRefused() {
        assertPickleRefused(TestPickle.protocol2().raw('}', 'h', 7, 's')).hasMessageContaining("memo slot 7");
        assertPickleRefused(TestPickle.protocol2().raw('.')).hasMessageContaining("empty stack");
        assertPickleRefused(TestPickle.protocol2().raw('(', '0')).hasMessageContaining("empty stack");
        assertPickleRefused(TestPickle.protocol2().raw('t')).hasMessageContaining("mark that was never set");
        assertPickleRefused(TestPickle.protocol2().raw('N', 'K', 1, 'a')).hasMessageContaining("appends to None");
        assertPickleRefused(TestPickle.protocol2().raw('N', 'K', 1, 'K', 1, 's'))
                .hasMessageContaining("items of None");
        assertPickleRefused(TestPickle.protocol2().raw('}', '(', 'K', 1, 'u')).hasMessageContaining("sets 1 items");
        assertPickleRefused(TestPickle.protocol2().raw('}', '}', 'K', 1, 's')).hasMessageContaining("a dict as a key");
        assertPickleRefused(TestPickle.protocol2().raw('N', '}', 'b')).hasMessageContaining("sets attributes of None");
    }

    @Test
    void endlessOrUnfinishedPickles_areRefused() {
        assertPickleRefused(TestPickle.protocol2()).hasMessageContaining("ends without a STOP");
        assertPickleRefused(TestPickle.protocol2().raw('X').int32(-1)).hasMessageContaining("text of 4294967295 bytes");
        assertPickleRefused(TestPickle.protocol2().raw('X').int32(60_000)).hasMessageContaining("ends without a STOP");
        assertPickleRefused(TestPickle.protocol2().raw(0x8d).raw(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f))
                .hasMessageContaining("text of 9223372036854775807 bytes");
        assertPickleRefused(TestPickle.protocol2().raw(0x8a, 9)).hasMessageContaining("number of 9 bytes");
        assertPickleRefused(TestPickle.protocol2().raw('c').raw(new int[300])).hasMessageContaining("more than 256");
        assertPickleRefused(new TestPickle().raw(0x80, 6)).hasMessageContaining("pickle protocol 6");
        byte[] marks = new byte[Unpickler.MAX_INSTRUCTIONS + 1];
        Arrays.fill(marks, (byte) '(');
        assertRefused(archive(marks)).hasMessageContaining("more than 2,000,000 instructions");
    }

    /** Each instruction makes a container inside of the one before, which costs the most memory per byte of file. */
    @Test
    void deepNesting_costsNoStackAndIsRefused() {
        byte[] pickle = new byte[1_000_002];
        Arrays.fill(pickle, 2, pickle.length, (byte) ']');
        Arrays.fill(pickle, 500_000, pickle.length - 1, (byte) 'a');
        pickle[0] = (byte) 0x80;
        pickle[1] = 2;
        pickle[pickle.length - 1] = '.';
        assertRefused(archive(pickle)).hasMessageContaining("is no pickle of weights");
    }

    @Test
    void rootThatIsNoStateDict_isRefused() {
        assertPickleRefused(TestPickle.protocol2().raw(']', '.')).hasMessageContaining("holds a list");
        assertPickleRefused(TestPickle.protocol2().raw('N', '.')).hasMessageContaining("holds None");
        assertPickleRefused(TestPickle.protocol2().raw('}').text("epoch").raw('K', 3, 's', '.'))
                .hasMessageContaining("has a number under 'epoch'");
        assertPickleRefused(TestPickle.protocol2()
                        .raw('}', 'K', 1)
                        .tensor("FloatStorage", "0", 6, 0, SHAPE, STRIDES)
                        .raw('s', '.'))
                .hasMessageContaining("under '1'");
    }

    @Test
    void dictThatHoldsItself_isRefused() {
        assertPickleRefused(TestPickle.protocol2().raw('}', 'q', 0).text("x").raw('h', 0, 's', '.'))
                .hasMessageContaining("has a dict under 'x'");
    }

    @Test
    void nameTwice_isRefused() {
        byte[] pickle = TestPickle.stateDict()
                .text("w")
                .tensor("FloatStorage", "0", 6, 0, SHAPE, STRIDES)
                .text("w")
                .tensor("FloatStorage", "0", 6, 0, SHAPE, STRIDES)
                .endDict();
        assertRefused(archive(pickle)).hasMessageContaining("sets the key 'w' twice");
    }

    @Test
    void tensorThatLeavesItsStorage_isRefused() {
        assertRefused(archive(w(6, 1, SHAPE, STRIDES).endDict()))
                .hasMessageContaining("tensor 'w' (offset 1, shape [2, 3], strides [3, 1]) ends at byte 28")
                .hasMessageContaining("which has 24");
        assertRefused(archive(w(6, -1, SHAPE, STRIDES).endDict())).hasMessageContaining("negative");
    }

    @Test
    void storageOfAnotherSizeThanItsEntry_isRefused() {
        assertRefused(archive(w(7, 0, SHAPE, STRIDES).endDict()))
                .hasMessageContaining("storage 'archive/data/0' should have 28 bytes but has 24");
        assertRefused(archive(w(5, 0, new long[] {5}, new long[] {1}).endDict()))
                .hasMessageContaining("should have 20 bytes but has 24");
        assertRefused(archive(w(-1, 0, SHAPE, STRIDES).endDict())).hasMessageContaining("has -1 elements");
        assertRefused(archive(w(1L << 62, 0, SHAPE, STRIDES).endDict())).hasMessageContaining("elements");
    }

    @Test
    void storageThatIsNotThere_isNamed() {
        byte[] pickle = TestPickle.stateDict()
                .text("w")
                .tensor("FloatStorage", "../../etc/passwd", 6, 0, SHAPE, STRIDES)
                .endDict();
        assertRefused(archive(pickle)).hasMessageContaining("needs the storage 'archive/data/../../etc/passwd'");
    }

    @Test
    void persistentIdThatIsNoStorage_isRefused() {
        assertPickleRefused(TestPickle.protocol2().text("0").raw('Q')).hasMessageContaining("other than a storage");
        assertPickleRefused(TestPickle.protocol2()
                        .raw('(')
                        .text("module")
                        .global("torch", "FloatStorage")
                        .text("0")
                        .text("cpu")
                        .number(6)
                        .raw('t', 'Q'))
                .hasMessageContaining("other than a storage");
        assertPickleRefused(TestPickle.protocol2()
                        .raw('(')
                        .text("storage")
                        .global("torch", "FloatStorage")
                        .text("0")
                        .text("cpu")
                        .number(6)
                        .text("part")
                        .raw('t', 'Q'))
                .hasMessageContaining("other than a storage");
    }

    @Test
    void byteOrder_mustBeLittle() throws IOException {
        assertThat(read(archive(valid()).add("archive/byteorder", "little"))).containsOnlyKeys("w");
        assertRefused(archive(valid()).add("archive/byteorder", "big")).hasMessageContaining("byte order 'big'");
    }

    @Test
    void archivesOfOtherKinds_areRefused() {
        assertRefused(new TestZip().add("word/document.xml", "x")).hasMessageContaining("has no FOLDER/data.pkl");
        assertRefused(archive(valid()).add("archive/constants.pkl", "x")).hasMessageContaining("TorchScript");
        assertRefused(archive(valid()).add("other/data.pkl", "x")).hasMessageContaining("two state dicts");
    }

    @Test
    void fileOfAnotherKind_isRefused() throws IOException {
        Path path = Files.writeString(folder.resolve("pytorch_model.bin"), "<html>404</html>");
        assertThatThrownBy(() -> TorchFile.read(path)).hasMessageContaining("begins neither as a zip file");
        Files.write(path, new byte[0]);
        assertThatThrownBy(() -> TorchFile.read(path)).hasMessageContaining("begins neither as a zip file");
    }
}
