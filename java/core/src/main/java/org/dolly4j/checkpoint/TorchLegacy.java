package org.dolly4j.checkpoint;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.StateDictPickle.Storage;

/**
 * Reads what {@code torch.save} wrote before PyTorch 1.6, and writes since when it is told not to make a zip file. Five
 * pickles follow each other: a magic number, the version of the format, facts about the machine, the state dict, and
 * the keys of its storages; then come the storages in the order of these keys, each as its number of elements (64 bits)
 * and the elements. Source: {@code torch.serialization._legacy_save}.
 */
final class TorchLegacy {
    /** PROTO 2 and the magic number 0x1950a86a20f9469cfc6c, the first pickle but for its STOP. */
    static final byte[] MAGIC = HexFormat.of().parseHex("80028a0a6cfc9c46f9206aa85019");

    private static final long VERSION = 1001;

    private static final int COUNT_BYTES = Long.BYTES;

    private final CheckpointFile file;

    private TorchLegacy(CheckpointFile file) {
        this.file = file;
    }

    /**
     * Locates the tensors of a file that begins with {@link #MAGIC}; no tensor is read and nothing in the file is run.
     *
     * @return tensors by name, in the file's order, unmodifiable
     * @throws CheckpointException if the file is damaged, of another version, or wants to run code
     */
    static Map<String, TensorLocation> read(CheckpointFile file) {
        int begin = MAGIC.length + 1;
        long pickles = Math.min(Math.max(0, file.size() - begin), StateDictPickle.MAX_BYTES);
        try (CountingStream in = new CountingStream(file.stream(begin, pickles))) {
            TorchLegacy reader = new TorchLegacy(file);
            reader.requireVersion(reader.plain("the version", in));
            reader.requireLittleEndian(reader.plain("the description of the machine", in));
            StateDictPickle stateDict = StateDictPickle.read(file, "the state dict", in);
            Object keys = reader.plain("the list of storages", in);
            Map<String, Long> offsets = reader.offsets(keys, begin + in.count, stateDict.storages());
            return stateDict.tensors(storage -> reader.offset(offsets, storage));
        } catch (IOException e) {
            throw new CheckpointException(file.path() + ": can't be read: " + e, e);
        }
    }

    private Object plain(String what, InputStream in) {
        return new Unpickler(file, what, in, Unpickler.PLAIN).load();
    }

    private void requireVersion(Object version) {
        if (!version.equals(VERSION)) {
            throw file.error(
                    "is of version %s of the format before PyTorch 1.6; %d is supported.",
                    version instanceof Long ? version : Unpickler.describe(version), VERSION);
        }
    }

    private void requireLittleEndian(Object machine) {
        if (!(machine instanceof Map<?, ?> facts) || !Boolean.TRUE.equals(facts.get("little_endian"))) {
            throw file.error("is not said to be little-endian; only that byte order is supported.");
        }
    }

    /** First byte of the elements of each storage. */
    private Map<String, Long> offsets(Object keys, long begin, Map<String, Storage> storages) {
        if (!(keys instanceof List<?> list)) {
            throw file.error("has %s where the keys of its storages are expected. It is damaged.", describe(keys));
        }
        Map<String, Long> offsets = new HashMap<>();
        long position = begin;
        for (Object key : list) {
            Storage storage = key instanceof String text ? storages.get(text) : null;
            if (storage == null) {
                throw file.error("holds a storage, %s, that no tensor is of. It is damaged.", describe(key));
            }
            long elements = file.read(position, COUNT_BYTES).getLong();
            if (elements != storage.elements()) {
                throw file.error(
                        "storage '%s' should have %,d elements but has %,d. The file is damaged.",
                        storage.key(), storage.elements(), elements);
            }
            position += COUNT_BYTES;
            if (storage.bytes() > file.size() - position) {
                throw file.error(
                        "storage '%s' should have %,d bytes from byte %,d on, but the file has %,d. The download is "
                                + "probably incomplete: delete the file and load again.",
                        storage.key(), storage.bytes(), position, file.size());
            }
            if (offsets.put(storage.key(), position) != null) {
                throw file.error("holds the storage '%s' twice. It is damaged.", storage.key());
            }
            position += storage.bytes();
        }
        return offsets;
    }

    private long offset(Map<String, Long> offsets, Storage storage) {
        Long offset = offsets.get(storage.key());
        if (offset == null) {
            throw file.error("needs the storage '%s', which it does not hold. It is damaged.", storage.key());
        }
        return offset;
    }

    private static String describe(Object value) {
        return value instanceof String text ? "'" + text + "'" : Unpickler.describe(value);
    }

    /** Counts the bytes that were taken from it. */
    private static final class CountingStream extends FilterInputStream {
        private long count;

        CountingStream(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int value = in.read();
            count += value < 0 ? 0 : 1;
            return value;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int got = in.read(bytes, offset, length);
            count += Math.max(got, 0);
            return got;
        }
    }
}
