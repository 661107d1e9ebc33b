package org.dolly4j.bench;

import com.google.gson.JsonObject;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32;
import org.dolly4j.checkpoint.DType;

/**
 * Writes the format of {@code torch.save} since PyTorch 1.6: an uncompressed zip file with the pickled state
 * dict and one entry per tensor, data aligned to 64 bytes, in the zip64 form where sizes need it.
 */
final class TorchZipWriter {
    private static final Map<DType, String> STORAGE_TYPES = Map.of(
            DType.FLOAT32, "FloatStorage",
            DType.BFLOAT16, "BFloat16Storage",
            DType.UINT8, "ByteStorage");

    private static final String FOLDER = "pytorch_model/";
    private static final int ALIGNMENT = 64;
    private static final int LOCAL_BYTES = 30;
    private static final int CENTRAL_BYTES = 46;
    private static final int END_BYTES = 22;
    private static final int END64_BYTES = 56;
    private static final int LOCATOR_BYTES = 20;
    private static final int EXTRA_HEADER_BYTES = 4;
    private static final short ZIP64_EXTRA_ID = 1;

    /** PyTorch's own extra field, whose only purpose is to fill up to the alignment. */
    private static final short PADDING_EXTRA_ID = 0x4246;

    private static final long MAX_32_BIT = 0xffffffffL;
    private static final short VERSION_ZIP64 = 45;
    private static final short UTF8_NAMES = 0x800;

    private final TensorWriter writer;

    TorchZipWriter(TensorWriter writer) {
        this.writer = writer;
    }

    /** An entry whose place is known before its data is made. */
    private record Entry(byte[] name, long size, long headerOffset, long dataOffset) {}

    /**
     * Writes all tensors to several files and their index.
     *
     * @param files how many, of about equal size
     */
    void writeSharded(Path folder, List<TensorRule> tensors, int files) throws IOException {
        long total = tensors.stream().mapToLong(TensorRule::bytes).sum();
        JsonObject weightMap = new JsonObject();
        int first = 0;
        long end = 0;
        for (int file = 1; file <= files; file++) {
            int last = first;
            while (last < tensors.size() && (end < total * file / files || file == files)) {
                end += tensors.get(last++).bytes();
            }
            List<TensorRule> inFile = tensors.subList(first, last);
            String name = String.format(Locale.ROOT, "pytorch_model-%05d-of-%05d.bin", file, files);
            write(folder.resolve(name), inFile);
            inFile.forEach(tensor -> weightMap.addProperty(tensor.name(), name));
            first = last;
        }
        JsonObject metadata = new JsonObject();
        metadata.addProperty("total_size", total);
        JsonObject index = new JsonObject();
        index.add("metadata", metadata);
        index.add("weight_map", weightMap);
        Files.writeString(folder.resolve("pytorch_model.bin.index.json"), index.toString());
    }

    /** Writes all tensors to one file. */
    void write(Path path, List<TensorRule> tensors) throws IOException {
        List<String> smallNames = List.of("data.pkl", "byteorder", "version");
        List<byte[]> smallData = List.of(
                pickle(tensors),
                "little".getBytes(StandardCharsets.US_ASCII),
                "3\n".getBytes(StandardCharsets.US_ASCII));
        List<Entry> entries = new ArrayList<>();
        long end = 0;
        for (int i = 0; i < smallNames.size(); i++) {
            end = append(entries, smallNames.get(i), smallData.get(i).length, end);
        }
        long[] offsets = new long[tensors.size()];
        for (int i = 0; i < tensors.size(); i++) {
            end = append(entries, "data/" + i, tensors.get(i).bytes(), end);
            offsets[i] = entries.get(entries.size() - 1).dataOffset;
        }
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            long[] checksums = new long[entries.size()];
            for (int i = 0; i < smallData.size(); i++) {
                CRC32 checksum = new CRC32();
                checksum.update(smallData.get(i));
                checksums[i] = checksum.getValue();
                TensorWriter.writeAll(file, ByteBuffer.wrap(smallData.get(i)), entries.get(i).dataOffset);
            }
            long[] tensorChecksums = writer.write(file, tensors, offsets);
            System.arraycopy(tensorChecksums, 0, checksums, smallData.size(), tensorChecksums.length);
            ByteArrayOutputStream directory = new ByteArrayOutputStream();
            for (int i = 0; i < checksums.length; i++) {
                Entry entry = entries.get(i);
                TensorWriter.writeAll(file, ByteBuffer.wrap(local(entry, (int) checksums[i])), entry.headerOffset);
                directory.writeBytes(central(entry, (int) checksums[i]));
            }
            TensorWriter.writeAll(file, ByteBuffer.wrap(directory.toByteArray()), end);
            TensorWriter.writeAll(
                    file, ByteBuffer.wrap(end(entries.size(), end, directory.size())), end + directory.size());
        }
    }

    /** Appends an entry behind {@code end}; returns the new end. */
    private static long append(List<Entry> entries, String name, long size, long end) {
        byte[] path = (FOLDER + name).getBytes(StandardCharsets.US_ASCII);
        if (size > MAX_32_BIT) {
            throw new IllegalArgumentException("A tensor of more than 4 GiB is not supported: " + name + ".");
        }
        long unaligned = end + LOCAL_BYTES + path.length + EXTRA_HEADER_BYTES;
        long dataOffset = (unaligned + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        entries.add(new Entry(path, size, end, dataOffset));
        return dataOffset + size;
    }

    private static byte[] local(Entry entry, int checksum) {
        byte[] header = new byte[(int) (entry.dataOffset - entry.headerOffset)];
        int extra = header.length - LOCAL_BYTES - entry.name.length;
        littleEndian(header)
                .putInt(0x04034b50)
                .putShort((short) 0)
                .putShort(UTF8_NAMES)
                .putShort((short) 0)
                .putInt(0)
                .putInt(checksum)
                .putInt((int) entry.size)
                .putInt((int) entry.size)
                .putShort((short) entry.name.length)
                .putShort((short) extra)
                .put(entry.name)
                .putShort(PADDING_EXTRA_ID)
                .putShort((short) (extra - EXTRA_HEADER_BYTES));
        return header;
    }

    private static byte[] central(Entry entry, int checksum) {
        boolean far = entry.headerOffset >= MAX_32_BIT;
        int extra = far ? EXTRA_HEADER_BYTES + Long.BYTES : 0;
        byte[] header = new byte[CENTRAL_BYTES + entry.name.length + extra];
        ByteBuffer fields = littleEndian(header)
                .putInt(0x02014b50)
                .putShort(far ? VERSION_ZIP64 : 0)
                .putShort(far ? VERSION_ZIP64 : 0)
                .putShort(UTF8_NAMES)
                .putShort((short) 0)
                .putInt(0)
                .putInt(checksum)
                .putInt((int) entry.size)
                .putInt((int) entry.size)
                .putShort((short) entry.name.length)
                .putShort((short) extra)
                .putShort((short) 0)
                .putInt(0)
                .putInt(0)
                .putInt((int) Math.min(entry.headerOffset, MAX_32_BIT))
                .put(entry.name);
        if (far) {
            fields.putShort(ZIP64_EXTRA_ID).putShort((short) Long.BYTES).putLong(entry.headerOffset);
        }
        return header;
    }

    private static byte[] end(int entries, long offset, long bytes) {
        byte[] record = new byte[END64_BYTES + LOCATOR_BYTES + END_BYTES];
        littleEndian(record)
                .putInt(0x06064b50)
                .putLong(END64_BYTES - 12L)
                .putShort(VERSION_ZIP64)
                .putShort(VERSION_ZIP64)
                .putLong(0)
                .putLong(entries)
                .putLong(entries)
                .putLong(bytes)
                .putLong(offset)
                .putInt(0x07064b50)
                .putInt(0)
                .putLong(offset + bytes)
                .putInt(1)
                .putInt(0x06054b50)
                .putInt(0)
                .putShort((short) entries)
                .putShort((short) entries)
                .putInt((int) bytes)
                .putInt((int) Math.min(offset, MAX_32_BIT))
                .putShort((short) 0);
        return record;
    }

    private static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The pickled state dict: an OrderedDict of {@code _rebuild_tensor_v2(storage, 0, sizes, strides, False, {})}. */
    private static byte[] pickle(List<TensorRule> tensors) {
        Pickle pickle = new Pickle();
        pickle.bytes(0x80, 2).global("collections OrderedDict").bytes(')', 'R', '(');
        for (int i = 0; i < tensors.size(); i++) {
            TensorRule tensor = tensors.get(i);
            pickle.text(tensor.name()).global("torch._utils _rebuild_tensor_v2").bytes('(');
            pickle.bytes('(').text("storage").global("torch " + STORAGE_TYPES.get(tensor.dtype()));
            pickle.text(Integer.toString(i))
                    .text("cpu")
                    .number(tensor.elements())
                    .bytes('t', 'Q');
            pickle.number(0)
                    .numbers(tensor.shape())
                    .numbers(strides(tensor.shape()))
                    .bytes(0x89);
            pickle.global("collections OrderedDict").bytes(')', 'R', 't', 'R');
        }
        return pickle.bytes('u', '.').out.toByteArray();
    }

    private static List<Long> strides(List<Long> shape) {
        List<Long> strides = new ArrayList<>();
        long stride = 1;
        for (int d = shape.size() - 1; d >= 0; d--) {
            strides.add(0, stride);
            stride *= shape.get(d);
        }
        return strides;
    }

    /** Instructions of Python's pickle format, protocol 2. */
    private static final class Pickle {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Pickle bytes(int... bytes) {
            for (int b : bytes) {
                out.write(b);
            }
            return this;
        }

        Pickle text(String text) {
            byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
            byte[] length = new byte[Integer.BYTES];
            littleEndian(length).putInt(utf8.length);
            out.write('X');
            out.writeBytes(length);
            out.writeBytes(utf8);
            return this;
        }

        /** @param name module and name with a space between them */
        Pickle global(String name) {
            out.write('c');
            out.writeBytes((name.replace(' ', '\n') + '\n').getBytes(StandardCharsets.US_ASCII));
            return this;
        }

        Pickle number(long value) {
            if (value <= Integer.MAX_VALUE) {
                byte[] int32 = new byte[Integer.BYTES];
                littleEndian(int32).putInt((int) value);
                out.write('J');
                out.writeBytes(int32);
            } else {
                byte[] int64 = new byte[Long.BYTES];
                littleEndian(int64).putLong(value);
                bytes(0x8a, Long.BYTES);
                out.writeBytes(int64);
            }
            return this;
        }

        Pickle numbers(List<Long> values) {
            bytes('(');
            values.forEach(this::number);
            return bytes('t');
        }
    }
}
