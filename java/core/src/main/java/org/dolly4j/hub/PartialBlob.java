package org.dolly4j.hub;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * A blob of which some bytes are here. It is downloaded in parts of one size, each from its start on; beside the bytes
 * a second file holds how many of each part there are, so that a later process goes on from there. Both have names of
 * this library: older versions of huggingface_hub take {@code ETAG.incomplete} for a beginning without gaps.
 *
 * <p>The second file: magic, size of the blob, size of a part, then a number of bytes per part; each eight bytes, big
 * endian. A number is written after its bytes, so a killed process leaves none that is too large; what a failing
 * machine leaves, the hash of the whole tells.
 */
final class PartialBlob implements AutoCloseable {
    private static final long MAGIC = 0x646f6c6c79346a31L; // "dolly4j1"
    private static final int NUMBERS_BEFORE_PARTS = 3;
    private static final int MAX_PARTS = 1 << 20;

    /** Bytes of a part after which the number is written. */
    private static final int NOTED_BYTES = 1 << 20;

    private final Path bytesFile;
    private final Path numbersFile;
    private final long size;
    private final FileChannel bytes;
    private final FileChannel numbers;
    private int partBytes;
    private AtomicLongArray present;

    private PartialBlob(Path bytesFile, Path numbersFile, long size, FileChannel bytes, FileChannel numbers) {
        this.bytesFile = bytesFile;
        this.numbersFile = numbersFile;
        this.size = size;
        this.bytes = bytes;
        this.numbers = numbers;
    }

    /** The file in which the bytes of a blob gather. */
    static Path bytesFile(Path blob) {
        return blob.resolveSibling(blob.getFileName() + ".dolly4j.incomplete");
    }

    private static Path numbersFile(Path blob) {
        return blob.resolveSibling(blob.getFileName() + ".dolly4j.ranges");
    }

    /**
     * Opens what an earlier download left, or begins anew if it left nothing of use.
     *
     * @param size bytes of the blob
     * @param partBytes bytes of a part, if it begins anew
     */
    static PartialBlob open(Path blob, long size, int partBytes) throws IOException {
        Path bytesFile = bytesFile(blob);
        Path numbersFile = numbersFile(blob);
        Files.createDirectories(blob.getParent());
        FileChannel bytes = openChannel(bytesFile);
        try {
            PartialBlob partial = new PartialBlob(bytesFile, numbersFile, size, bytes, openChannel(numbersFile));
            try {
                if (!partial.resume()) {
                    partial.begin(Math.toIntExact(Math.max(partBytes, size / MAX_PARTS + 1)));
                }
                return partial;
            } catch (IOException | RuntimeException e) {
                partial.close();
                throw e;
            }
        } catch (IOException e) {
            bytes.close();
            throw e;
        }
    }

    /** Bytes of a blob that an earlier download left, without opening it for more. */
    static long left(Path blob, long size) throws IOException {
        Path numbersFile = numbersFile(blob);
        try (FileChannel bytes = FileChannel.open(bytesFile(blob), StandardOpenOption.READ);
                FileChannel numbers = FileChannel.open(numbersFile, StandardOpenOption.READ)) {
            PartialBlob partial = new PartialBlob(bytesFile(blob), numbersFile, size, bytes, numbers);
            return partial.resume() ? partial.present() : 0;
        } catch (NoSuchFileException e) {
            return 0; // there was nothing, or another process has just made it the blob
        }
    }

    private static FileChannel openChannel(Path file) throws IOException {
        return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    private boolean resume() throws IOException {
        if (number(0) != MAGIC || number(1) != size) {
            return false;
        }
        long stored = number(2);
        if (stored < 1 || stored > Integer.MAX_VALUE || size / stored > MAX_PARTS) {
            return false;
        }
        partBytes = (int) stored;
        present = new AtomicLongArray(partCount());
        for (int part = 0; part < partCount(); part++) {
            long count = number(NUMBERS_BEFORE_PARTS + part);
            if (count < 0 || count > length(part) || (count > 0 && start(part) + count > bytes.size())) {
                return false;
            }
            present.set(part, count);
        }
        return true;
    }

    /** Forgets all bytes that are here. */
    private void begin(int newPartBytes) throws IOException {
        numbers.truncate(0);
        bytes.truncate(0);
        partBytes = newPartBytes;
        present = new AtomicLongArray(partCount());
        write(NUMBERS_BEFORE_PARTS + partCount(), 0); // and so all before it
        write(2, partBytes);
        write(1, size);
        write(0, MAGIC);
    }

    /** Forgets all bytes that are here. */
    void restart() throws IOException {
        begin(partBytes);
    }

    private long number(int index) throws IOException {
        ByteBuffer number = ByteBuffer.allocate(Long.BYTES);
        int read = numbers.read(number, (long) index * Long.BYTES);
        return read == Long.BYTES ? number.getLong(0) : -1;
    }

    private void write(int index, long value) throws IOException {
        ByteBuffer number = ByteBuffer.allocate(Long.BYTES).putLong(0, value);
        writeFully(numbers, number, (long) index * Long.BYTES);
    }

    private static void writeFully(FileChannel channel, ByteBuffer from, long position) throws IOException {
        long at = position;
        while (from.hasRemaining()) {
            at += channel.write(from, at);
        }
    }

    /** Number of parts. */
    int partCount() {
        return Math.toIntExact((size + partBytes - 1) / partBytes);
    }

    /** Where a part begins. */
    long start(int part) {
        return (long) part * partBytes;
    }

    /** Bytes that a part has when it is complete. */
    long length(int part) {
        return Math.min(partBytes, size - start(part));
    }

    /** Bytes of a part that are here, from its start. */
    long present(int part) {
        return present.get(part);
    }

    /** Bytes of all parts that are here. */
    long present() {
        long sum = 0;
        for (int part = 0; part < present.length(); part++) {
            sum += present.get(part);
        }
        return sum;
    }

    /** Adds the next bytes of a part; one thread for each part. */
    void add(int part, ByteBuffer next) throws IOException {
        long before = present.get(part);
        long after = before + next.remaining();
        if (after > length(part)) {
            throw new IllegalArgumentException("a part of " + length(part) + " bytes gets " + after);
        }
        writeFully(bytes, next, start(part) + before);
        present.set(part, after);
        if (after == length(part) || after / NOTED_BYTES != before / NOTED_BYTES) {
            note(part);
        }
    }

    /** Notes how many bytes of a part are here, for a later process. */
    void note(int part) throws IOException {
        write(NUMBERS_BEFORE_PARTS + part, present.get(part));
    }

    /** Makes the bytes the blob, which appears at once and whole. */
    void become(Path blob) throws IOException {
        if (present() != size || bytes.size() != size) {
            throw new IOException("something else has changed " + bytesFile + " or " + numbersFile);
        }
        bytes.force(true);
        Files.move(bytesFile, blob, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        Files.deleteIfExists(numbersFile);
    }

    /** The file with the bytes. */
    Path file() {
        return bytesFile;
    }

    @Override
    public void close() throws IOException {
        try (bytes;
                numbers) {
            // Both, also if the first cannot be closed.
        }
    }
}
