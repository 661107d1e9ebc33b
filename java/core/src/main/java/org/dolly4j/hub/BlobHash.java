package org.dolly4j.hub;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.function.LongConsumer;

/** What the bytes of a file are known by at the hub. */
enum BlobHash {
    /** Of large files: SHA-256. */
    SHA_256("SHA-256", 64),
    /** Of small files: SHA-1 over a header with the length and the bytes, git's hash of a blob. */
    GIT("SHA-1", 40);

    private static final int READ_BYTES = 1 << 20;

    private final String algorithm;
    private final int digits;

    BlobHash(String algorithm, int digits) {
        this.algorithm = algorithm;
        this.digits = digits;
    }

    /** The hash that an ETag is; empty if it is none. */
    static Optional<BlobHash> of(String etag) {
        for (BlobHash hash : values()) {
            if (etag.length() == hash.digits && etag.matches("[0-9a-f]+")) {
                return Optional.of(hash);
            }
        }
        return Optional.empty();
    }

    /**
     * The hash of a file.
     *
     * @param reading told now and then how many bytes are read
     * @return hexadecimal digits
     */
    String hash(Path file, LongConsumer reading) throws IOException {
        MessageDigest digest = newDigest();
        if (this == GIT) {
            digest.update(("blob " + Files.size(file) + "\0").getBytes(StandardCharsets.US_ASCII));
        }
        byte[] buffer = new byte[READ_BYTES];
        long total = 0;
        try (InputStream in = Files.newInputStream(file)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
                total += read;
                reading.accept(total);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private MessageDigest newDigest() {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has " + algorithm, e);
        }
    }
}
