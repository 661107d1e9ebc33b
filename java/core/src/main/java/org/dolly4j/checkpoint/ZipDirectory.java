package org.dolly4j.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.dolly4j.CheckpointException;

/**
 * Where the entries of an uncompressed zip file lie. {@code java.util.zip} does not tell the offset of an entry's data,
 * so the directory at the end of the file is read here (PKWARE's APPNOTE 6.3.10, zip64 included). Entries that are
 * compressed, encrypted, overlapping or outside of the file are refused.
 */
final class ZipDirectory {
    /**
     * Bytes of an entry.
     *
     * @param name path inside the archive
     * @param offset first byte of the data in the file
     * @param size bytes of the data
     */
    record Entry(String name, long offset, long size) {}

    private static final int END_SIGNATURE = 0x06054b50;
    private static final int END_BYTES = 22;
    private static final int MAX_COMMENT_BYTES = 0xffff;
    private static final int END64_LOCATOR_SIGNATURE = 0x07064b50;
    private static final int END64_LOCATOR_BYTES = 20;
    private static final int END64_SIGNATURE = 0x06064b50;
    private static final int END64_BYTES = 56;
    private static final int CENTRAL_SIGNATURE = 0x02014b50;
    private static final int CENTRAL_BYTES = 46;
    private static final int LOCAL_SIGNATURE = 0x04034b50;
    private static final int LOCAL_BYTES = 30;
    private static final int ZIP64_EXTRA_ID = 1;
    private static final long SEE_ZIP64 = 0xffffffffL;
    private static final int ENCRYPTED_FLAG = 1;
    private static final int STORED = 0;

    /** Longest directory accepted: that of some 100,000 tensors. */
    private static final long MAX_DIRECTORY_BYTES = 16L << 20;

    private final CheckpointFile file;
    private final Map<String, Entry> entries = new LinkedHashMap<>();

    private ZipDirectory(CheckpointFile file) {
        this.file = file;
    }

    /**
     * Reads the directory of a zip file.
     *
     * @throws CheckpointException if it is not a whole, uncompressed zip file
     */
    static ZipDirectory read(CheckpointFile file) {
        ZipDirectory directory = new ZipDirectory(file);
        directory.readEntries(directory.findEnd());
        return directory;
    }

    /** All entries, in the order of the file. */
    Iterable<Entry> entries() {
        return Collections.unmodifiableCollection(entries.values());
    }

    /** The entry of this name. */
    Optional<Entry> entry(String name) {
        return Optional.ofNullable(entries.get(name));
    }

    /** What the end record says of the directory. */
    private record End(long directoryOffset, long directoryBytes, long entryCount) {}

    /** An entry as the directory describes it. */
    private record Header(String name, byte[] rawName, long size, long headerOffset) {}

    private End findEnd() {
        int tailBytes = (int) Math.min(file.size(), END_BYTES + MAX_COMMENT_BYTES);
        long tailOffset = file.size() - tailBytes;
        ByteBuffer tail = file.read(tailOffset, tailBytes);
        for (int at = tailBytes - END_BYTES; at >= 0; at--) {
            int commentBytes = Short.toUnsignedInt(tail.getShort(at + END_BYTES - Short.BYTES));
            if (tail.getInt(at) == END_SIGNATURE && at + END_BYTES + commentBytes == tailBytes) {
                End end = new End(
                        Integer.toUnsignedLong(tail.getInt(at + 16)),
                        Integer.toUnsignedLong(tail.getInt(at + 12)),
                        Short.toUnsignedLong(tail.getShort(at + 10)));
                return checked(end64(tailOffset + at).orElse(end), tailOffset + at);
            }
        }
        throw file.error("has no zip directory at its end. "
                + "The download is probably incomplete: delete the file and load again.");
    }

    private Optional<End> end64(long endOffset) {
        if (endOffset < END64_LOCATOR_BYTES) {
            return Optional.empty();
        }
        ByteBuffer locator = file.read(endOffset - END64_LOCATOR_BYTES, END64_LOCATOR_BYTES);
        if (locator.getInt(0) != END64_LOCATOR_SIGNATURE) {
            return Optional.empty();
        }
        ByteBuffer end64 = file.read(locator.getLong(8), END64_BYTES);
        if (end64.getInt(0) != END64_SIGNATURE) {
            throw damaged("its zip64 end record is not where it should be");
        }
        return Optional.of(new End(end64.getLong(48), end64.getLong(40), end64.getLong(32)));
    }

    private End checked(End end, long endOffset) {
        boolean inside = end.directoryOffset >= 0
                && end.directoryBytes >= 0
                && end.directoryBytes <= endOffset
                && end.directoryOffset <= endOffset - end.directoryBytes;
        if (!inside) {
            throw damaged("its directory lies outside of the file");
        }
        if (end.directoryBytes > MAX_DIRECTORY_BYTES) {
            throw file.error(
                    "has a zip directory of %,d bytes; at most %,d are accepted.",
                    end.directoryBytes, MAX_DIRECTORY_BYTES);
        }
        return end;
    }

    private void readEntries(End end) {
        ByteBuffer directory = file.read(end.directoryOffset, (int) end.directoryBytes);
        List<Header> headers = new ArrayList<>();
        while (directory.hasRemaining()) {
            headers.add(readHeader(directory));
        }
        if (headers.size() != end.entryCount) {
            throw damaged("its directory has " + headers.size() + " entries, not " + end.entryCount + " as announced");
        }
        headers.sort(Comparator.comparingLong(Header::headerOffset));
        long free = 0;
        for (Header header : headers) {
            if (header.headerOffset < free) {
                throw file.error("entry '%s' overlaps another one. The file is damaged.", header.name);
            }
            Entry entry = locate(header, end.directoryOffset);
            free = entry.offset + entry.size;
            if (entries.put(entry.name, entry) != null) {
                throw file.error("holds the entry '%s' twice. The file is damaged.", entry.name);
            }
        }
    }

    private Header readHeader(ByteBuffer directory) {
        int start = directory.position();
        if (directory.remaining() < CENTRAL_BYTES || directory.getInt(start) != CENTRAL_SIGNATURE) {
            throw damaged("its directory is cut off");
        }
        int flags = Short.toUnsignedInt(directory.getShort(start + 8));
        int method = Short.toUnsignedInt(directory.getShort(start + 10));
        long stored = Integer.toUnsignedLong(directory.getInt(start + 20));
        long size = Integer.toUnsignedLong(directory.getInt(start + 24));
        int nameBytes = Short.toUnsignedInt(directory.getShort(start + 28));
        int extraBytes = Short.toUnsignedInt(directory.getShort(start + 30));
        int commentBytes = Short.toUnsignedInt(directory.getShort(start + 32));
        long headerOffset = Integer.toUnsignedLong(directory.getInt(start + 42));
        if (directory.remaining() < CENTRAL_BYTES + nameBytes + extraBytes + commentBytes) {
            throw damaged("its directory is cut off");
        }
        byte[] rawName = new byte[nameBytes];
        directory.get(start + CENTRAL_BYTES, rawName);
        String name = new String(rawName, StandardCharsets.UTF_8);
        ByteBuffer zip64 = zip64Extra(directory, start + CENTRAL_BYTES + nameBytes, extraBytes);
        size = size == SEE_ZIP64 ? nextLong(zip64, name) : size;
        stored = stored == SEE_ZIP64 ? nextLong(zip64, name) : stored;
        headerOffset = headerOffset == SEE_ZIP64 ? nextLong(zip64, name) : headerOffset;
        directory.position(start + CENTRAL_BYTES + nameBytes + extraBytes + commentBytes);
        if ((flags & ENCRYPTED_FLAG) != 0) {
            throw file.error("entry '%s' is encrypted. Save the model without encryption.", name);
        }
        if (method != STORED) {
            throw file.error(
                    "entry '%s' is compressed (zip method %d). torch.save writes uncompressed entries: unpack the "
                            + "archive and pack it again without compression (zip -0 -r).",
                    name, method);
        }
        if (stored != size || size < 0 || headerOffset < 0) {
            throw file.error("entry '%s' has contradicting sizes. The file is damaged.", name);
        }
        return new Header(name, rawName, size, headerOffset);
    }

    /** The values of the zip64 field of an entry, or an empty buffer if it has none. */
    private ByteBuffer zip64Extra(ByteBuffer directory, int start, int length) {
        int at = start;
        while (start + length - at >= 4) {
            int id = Short.toUnsignedInt(directory.getShort(at));
            int bytes = Short.toUnsignedInt(directory.getShort(at + 2));
            at += 4;
            if (bytes > start + length - at) {
                throw damaged("an extra field of its directory is cut off");
            }
            if (id == ZIP64_EXTRA_ID) {
                return directory.slice(at, bytes).order(directory.order());
            }
            at += bytes;
        }
        return ByteBuffer.allocate(0);
    }

    private long nextLong(ByteBuffer zip64, String name) {
        if (zip64.remaining() < Long.BYTES) {
            throw file.error("entry '%s' lacks its zip64 sizes. The file is damaged.", name);
        }
        return zip64.getLong();
    }

    /** Finds the data of an entry behind its local header, which has a name and extra fields of its own length. */
    private Entry locate(Header header, long dataEnd) {
        if (header.headerOffset > dataEnd - LOCAL_BYTES) {
            throw file.error("entry '%s' begins outside of the archive. The file is damaged.", header.name);
        }
        ByteBuffer local = file.read(header.headerOffset, LOCAL_BYTES);
        int nameBytes = Short.toUnsignedInt(local.getShort(26));
        int extraBytes = Short.toUnsignedInt(local.getShort(28));
        long offset = header.headerOffset + LOCAL_BYTES + nameBytes + extraBytes;
        if (local.getInt(0) != LOCAL_SIGNATURE
                || Short.toUnsignedInt(local.getShort(8)) != STORED
                || nameBytes != header.rawName.length
                || !file.read(header.headerOffset + LOCAL_BYTES, nameBytes).equals(ByteBuffer.wrap(header.rawName))) {
            throw file.error("entry '%s' is not where the directory says. The file is damaged.", header.name);
        }
        if (offset > dataEnd || header.size > dataEnd - offset) {
            throw file.error(
                    "entry '%s' of %,d bytes at byte %,d reaches beyond byte %,d, where the data ends. "
                            + "The file is damaged.",
                    header.name, header.size, offset, dataEnd);
        }
        return new Entry(header.name, offset, header.size);
    }

    private CheckpointException damaged(String reason) {
        return file.error("is a damaged zip file: %s. Delete the file and load again.", reason);
    }
}
