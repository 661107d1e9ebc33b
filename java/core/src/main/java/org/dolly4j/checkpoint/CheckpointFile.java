package org.dolly4j.checkpoint;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;

/**
 * A file of a model folder open for reading. Configurations and the headers of weight files are read through it, never
 * weights themselves; every read is checked against the file's size.
 */
final class CheckpointFile implements AutoCloseable {
    private static final byte[] LFS_POINTER =
            "version https://git-lfs.github.com/spec/".getBytes(StandardCharsets.US_ASCII);

    /** Most bytes read at once: the JDK keeps a direct buffer of the largest read. */
    private static final int READ_BYTES = 1 << 16;

    private static final int MAX_TEXT_IN_MESSAGE = 500;

    private final Path path;
    private final FileChannel channel;
    private final long size;

    private CheckpointFile(Path path, FileChannel channel, long size) {
        this.path = path;
        this.channel = channel;
        this.size = size;
    }

    /**
     * Opens a file.
     *
     * @throws CheckpointException if it can't be read, is not a regular file, or is a Git LFS pointer
     */
    static CheckpointFile open(Path path) {
        if (!Files.isRegularFile(path)) {
            throw error(path, Files.exists(path) ? "is not a regular file." : "no such file.");
        }
        try {
            FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
            try {
                CheckpointFile file = new CheckpointFile(path, channel, channel.size());
                if (file.startsWith(LFS_POINTER)) {
                    throw file.error("is a Git LFS pointer, not the weights. Fetch them with 'git lfs pull'.");
                }
                return file;
            } catch (IOException | RuntimeException e) {
                channel.close();
                throw e;
            }
        } catch (IOException e) {
            throw new CheckpointException(path + ": can't be read: " + e, e);
        }
    }

    Path path() {
        return path;
    }

    /** Bytes of the file. */
    long size() {
        return size;
    }

    /** Whether the file begins with these bytes. */
    boolean startsWith(byte[] prefix) {
        return size >= prefix.length && read(0, prefix.length).equals(ByteBuffer.wrap(prefix));
    }

    /** Reads {@code length} bytes at {@code offset}, little-endian; the caller bounds {@code length}. */
    ByteBuffer read(long offset, int length) {
        requireInside(offset, length);
        ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        try {
            while (buffer.position() < length) {
                buffer.limit((int) Math.min(length, (long) buffer.position() + READ_BYTES));
                if (channel.read(buffer, offset + buffer.position()) < 0) {
                    throw error("became shorter while it was read.");
                }
            }
        } catch (IOException e) {
            throw new CheckpointException(path + ": can't be read: " + e, e);
        }
        return buffer.flip();
    }

    /** A buffered stream over {@code length} bytes at {@code offset}. */
    InputStream stream(long offset, long length) {
        requireInside(offset, length);
        return new BufferedInputStream(new Range(offset, offset + length));
    }

    /** Reads {@code length} bytes at {@code offset} as strict JSON in strict UTF-8; closing it leaves the file open. */
    JsonReader json(long offset, long length) {
        var utf8 = StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        JsonReader json = new JsonReader(new InputStreamReader(stream(offset, length), utf8));
        json.setStrictness(Strictness.STRICT);
        return json;
    }

    /** An exception about this file, see {@link #error(Path, String, Object...)}. */
    CheckpointException error(String format, Object... args) {
        return error(path, format, args);
    }

    /**
     * An exception that begins with a file's path. Texts among the arguments may come from a hostile file: long ones are
     * cut.
     */
    static CheckpointException error(Path path, String format, Object... args) {
        Object[] shown = Stream.of(args)
                .map(arg -> arg instanceof String text ? shortened(text) : arg)
                .toArray();
        return new CheckpointException(path + ": " + String.format(Locale.ROOT, format, shown));
    }

    /** An exception about JSON that can't be read; of the parser's message the first line, the second is a link. */
    static CheckpointException notJson(Path path, String what, Exception cause) {
        String reason = String.valueOf(cause.getMessage()).lines().findFirst().orElse("");
        return new CheckpointException(path + ": " + what + " can't be read: " + shortened(reason), cause);
    }

    private static String shortened(String text) {
        return text.length() <= MAX_TEXT_IN_MESSAGE ? text : text.substring(0, MAX_TEXT_IN_MESSAGE) + "...";
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new CheckpointException(path + ": can't be closed: " + e, e);
        }
    }

    private void requireInside(long offset, long length) {
        if (offset < 0 || length < 0 || offset > size - length) {
            throw error(
                    "a part of %,d bytes at byte %,d lies outside of the file, which has %,d bytes. "
                            + "The download is probably incomplete: delete the file and load again.",
                    length, offset, size);
        }
    }

    /** The bytes of the file from {@code position} to {@code end}. */
    private final class Range extends InputStream {
        private final long end;
        private long position;

        Range(long position, long end) {
            this.position = position;
            this.end = end;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            if (length == 0) {
                return 0;
            }
            int wanted = (int) Math.min(length, end - position);
            int got = wanted == 0 ? -1 : channel.read(ByteBuffer.wrap(bytes, offset, wanted), position);
            position += Math.max(got, 0);
            return got;
        }
    }
}
