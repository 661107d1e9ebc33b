package org.dolly4j.checkpoint;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes pickles instruction by instruction. */
final class TestPickle {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    static TestPickle protocol2() {
        return new TestPickle().raw(0x80, 2);
    }

    /** A state dict's beginning: an empty OrderedDict and a mark for its items. */
    static TestPickle stateDict() {
        return protocol2().global("collections", "OrderedDict").raw(')', 'R', '(');
    }

    TestPickle raw(int... bytes) {
        for (int b : bytes) {
            out.write(b);
        }
        return this;
    }

    TestPickle text(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        return raw('X').int32(utf8.length).bytes(utf8);
    }

    TestPickle global(String module, String name) {
        return raw('c').bytes((module + "\n" + name + "\n").getBytes(StandardCharsets.US_ASCII));
    }

    /** An integer of any size, as LONG1. */
    TestPickle number(long value) {
        return raw(0x8a, 8)
                .bytes(ByteBuffer.allocate(8)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(value)
                        .array());
    }

    TestPickle numbers(long... values) {
        raw('(');
        for (long value : values) {
            number(value);
        }
        return raw('t');
    }

    /** A tensor as {@code torch.save} writes it: a view of a storage. */
    TestPickle tensor(String storageType, String key, long elements, long first, long[] shape, long[] strides) {
        return global("torch._utils", "_rebuild_tensor_v2")
                .raw('(')
                .storage(storageType, key, elements)
                .number(first)
                .numbers(shape)
                .numbers(strides)
                .raw(0x89)
                .global("collections", "OrderedDict")
                .raw(')', 'R', 't', 'R');
    }

    TestPickle storage(String storageType, String key, long elements) {
        return raw('(').text("storage")
                .global("torch", storageType)
                .text(key)
                .text("cpu")
                .number(elements)
                .raw('t', 'Q');
    }

    /** Ends a state dict: sets the items, stops. */
    byte[] endDict() {
        return raw('u', '.').toBytes();
    }

    byte[] toBytes() {
        return out.toByteArray();
    }

    TestPickle int32(int value) {
        return bytes(ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array());
    }

    private TestPickle bytes(byte[] bytes) {
        out.writeBytes(bytes);
        return this;
    }
}
