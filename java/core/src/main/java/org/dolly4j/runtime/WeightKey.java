package org.dolly4j.runtime;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.SlotRows;

/**
 * What packed weights are made of: which bytes of which files go where in a decoder, in which type, and in which
 * version of the packed layout. The same key means the same weights.
 *
 * <p>A file is known by its place, size and time of change. One in the cache of huggingface_hub, whose name is the hash
 * of what it holds, is known by that alone, wherever the cache lies.
 *
 * @param text {@link #LENGTH} hexadecimal digits
 */
record WeightKey(String text) {
    static final int LENGTH = NativeApi.D4J_PACKED_KEY_LENGTH;

    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

    /**
     * The key of a model.
     *
     * @throws IOException if a file of its weights cannot be found
     */
    static WeightKey of(DecoderSpec spec, List<SlotRows> rows, ModelOptions options) throws IOException {
        MessageDigest digest = sha256();
        try (DataOutputStream out = new DataOutputStream(
                new BufferedOutputStream(new DigestOutputStream(OutputStream.nullOutputStream(), digest)))) {
            out.writeInt(NativeLibrary.buildInfo().packedVersion());
            out.writeUTF(options.dtype().name());
            out.writeUTF(spec.toString());
            Map<Path, Integer> files = new LinkedHashMap<>();
            for (SlotRows part : rows) {
                Path path = part.source().path();
                if (!files.containsKey(path)) {
                    files.put(path, files.size());
                    out.writeUTF(identity(path));
                }
                write(part, files.get(path), out);
            }
        }
        return new WeightKey(HexFormat.of().formatHex(digest.digest()));
    }

    private static void write(SlotRows part, int file, DataOutputStream out) throws IOException {
        TensorLocation source = part.source();
        out.writeInt(file);
        out.writeLong(source.offset());
        out.writeUTF(source.dtype().name());
        write(source.shape(), out);
        write(source.strides(), out);
        out.writeUTF(part.slot().name());
        out.writeInt(part.layer());
        out.writeInt(part.runs().size());
        for (SlotRows.Run run : part.runs()) {
            out.writeInt(run.sourceRow());
            out.writeInt(run.sourceStep());
            out.writeInt(run.slotRow());
            out.writeInt(run.count());
        }
    }

    private static void write(List<Long> numbers, DataOutputStream out) throws IOException {
        out.writeInt(numbers.size());
        for (long number : numbers) {
            out.writeLong(number);
        }
    }

    private static String identity(Path path) throws IOException {
        Path real = path.toRealPath();
        if (real.getParent().endsWith("blobs")
                && SHA256.matcher(real.getFileName().toString()).matches()) {
            return real.getFileName().toString();
        }
        BasicFileAttributes found = Files.readAttributes(real, BasicFileAttributes.class);
        return real + "\n" + found.size() + "\n" + found.lastModifiedTime().toInstant();
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }
}
