package org.dolly4j.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/** Writes zip files byte by byte, so that each field can be right or wrong at will. */
final class TestZip {
    /** A value that stands in the 32-bit field while the true one is in the zip64 field. */
    private static final int SEE_ZIP64 = -1;

    private final List<Item> items = new ArrayList<>();
    private boolean zip64;

    /** An entry; {@code offset} is where its local header goes, or -1 for right behind the one before. */
    private record Item(String name, byte[] data, int method, int flags, long offset, long claimedSize) {}

    TestZip add(String name, byte[] data) {
        return add(name, data, 0, 0, -1, data.length);
    }

    TestZip add(String name, String text) {
        return add(name, text.getBytes(StandardCharsets.US_ASCII));
    }

    TestZip add(String name, byte[] data, int method, int flags, long offset, long claimedSize) {
        items.add(new Item(name, data, method, flags, offset, claimedSize));
        return this;
    }

    /** Puts sizes and offsets into zip64 fields, however small they are. */
    TestZip zip64() {
        zip64 = true;
        return this;
    }

    /** The whole file; for entries without an offset of their own. */
    byte[] bytes() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream directory = new ByteArrayOutputStream();
        for (Item item : items) {
            directory.writeBytes(central(item, item.offset >= 0 ? item.offset : out.size()));
            out.writeBytes(local(item));
            out.writeBytes(item.data);
        }
        long start = out.size();
        out.writeBytes(directory.toByteArray());
        out.writeBytes(end(start, directory.size()));
        return out.toByteArray();
    }

    /** Writes a file whose entries lie at their offsets, with holes between them. */
    void writeSparse(Path path) throws IOException {
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW)) {
            ByteArrayOutputStream directory = new ByteArrayOutputStream();
            long position = 0;
            for (Item item : items) {
                position = Math.max(position, item.offset);
                directory.writeBytes(central(item, position));
                byte[] local = local(item);
                file.write(ByteBuffer.wrap(local), position);
                file.write(ByteBuffer.wrap(item.data), position + local.length);
                position += local.length + item.data.length;
            }
            file.write(ByteBuffer.wrap(directory.toByteArray()), position);
            file.write(ByteBuffer.wrap(end(position, directory.size())), position + directory.size());
        }
    }

    private static byte[] local(Item item) {
        byte[] name = item.name.getBytes(StandardCharsets.UTF_8);
        byte[] bytes = new byte[30 + name.length];
        littleEndian(bytes)
                .putInt(0x04034b50)
                .putShort((short) 20)
                .putShort((short) item.flags)
                .putShort((short) item.method)
                .putInt(0)
                .putInt(0)
                .putInt(item.data.length)
                .putInt(item.data.length)
                .putShort((short) name.length)
                .putShort((short) 0)
                .put(name);
        return bytes;
    }

    private byte[] central(Item item, long offset) {
        byte[] name = item.name.getBytes(StandardCharsets.UTF_8);
        int extra = zip64 ? 28 : 0;
        byte[] bytes = new byte[46 + name.length + extra];
        ByteBuffer header = littleEndian(bytes)
                .putInt(0x02014b50)
                .putShort((short) 20)
                .putShort((short) 20)
                .putShort((short) item.flags)
                .putShort((short) item.method)
                .putInt(0)
                .putInt(0)
                .putInt(zip64 ? SEE_ZIP64 : item.data.length)
                .putInt(zip64 ? SEE_ZIP64 : (int) item.claimedSize)
                .putShort((short) name.length)
                .putShort((short) extra)
                .putShort((short) 0)
                .putShort((short) 0)
                .putShort((short) 0)
                .putInt(0)
                .putInt(zip64 ? SEE_ZIP64 : (int) offset)
                .put(name);
        if (zip64) {
            header.putShort((short) 1)
                    .putShort((short) 24)
                    .putLong(item.claimedSize)
                    .putLong(item.data.length)
                    .putLong(offset);
        }
        return bytes;
    }

    private byte[] end(long start, long bytes) {
        byte[] record = new byte[zip64 ? 56 + 20 + 22 : 22];
        ByteBuffer end = littleEndian(record);
        if (zip64) {
            end.putInt(0x06064b50)
                    .putLong(44)
                    .putShort((short) 45)
                    .putShort((short) 45)
                    .putInt(0)
                    .putInt(0)
                    .putLong(items.size())
                    .putLong(items.size())
                    .putLong(bytes)
                    .putLong(start);
            end.putInt(0x07064b50).putInt(0).putLong(start + bytes).putInt(1);
        }
        end.putInt(0x06054b50)
                .putInt(0)
                .putShort((short) (zip64 ? 0xffff : items.size()))
                .putShort((short) (zip64 ? 0xffff : items.size()))
                .putInt(zip64 ? SEE_ZIP64 : (int) bytes)
                .putInt(zip64 ? SEE_ZIP64 : (int) start)
                .putShort((short) 0);
        return record;
    }

    private static ByteBuffer littleEndian(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
