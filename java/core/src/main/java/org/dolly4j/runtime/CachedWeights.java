package org.dolly4j.runtime;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Optional;

/**
 * A file of the cache of packed weights.
 *
 * @param file the file
 * @param id hexadecimal digits that name it
 * @param bytes its size
 * @param lastUsed when it was last mapped or written
 * @param origin what it says of itself, if it is whole enough to say something
 */
public record CachedWeights(Path file, String id, long bytes, Instant lastUsed, Optional<Origin> origin) {
    private static final byte[] MAGIC = "D4JPACK\n".getBytes(StandardCharsets.US_ASCII);

    /** Bytes before the description: PackedFileHead of native/src/model/packed_file.h. */
    private static final int HEAD_BYTES = 104;

    private static final int DESCRIPTION_SIZE_AT = 12;
    private static final int MOST_DESCRIPTION_BYTES = 1 << 16;

    /**
     * What weights were made of; for people, checked by no one.
     *
     * @param model path of the model folder
     * @param dtype their element type, in lower case
     */
    public record Origin(String model, String dtype) {
        private static final String MODEL = "model";
        private static final String DTYPE = "dtype";

        /** The description of a file. */
        String toJson() {
            JsonObject object = new JsonObject();
            object.addProperty(MODEL, model);
            object.addProperty(DTYPE, dtype);
            return object.toString();
        }

        private static Optional<Origin> parse(String json) {
            try {
                JsonObject object = JsonParser.parseString(json).getAsJsonObject();
                return Optional.of(new Origin(
                        printable(object.get(MODEL).getAsString()),
                        printable(object.get(DTYPE).getAsString())));
            } catch (JsonParseException
                    | IllegalStateException
                    | UnsupportedOperationException
                    | NullPointerException e) {
                return Optional.empty();
            }
        }

        private static String printable(String text) {
            return text.replaceAll("\\p{Cntrl}", "?");
        }
    }

    /** What a file of the cache is; its weights are not read. */
    static CachedWeights of(Path file, String id) throws IOException {
        return new CachedWeights(
                file, id, Files.size(file), Files.getLastModifiedTime(file).toInstant(), origin(file));
    }

    private static Optional<Origin> origin(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            ByteBuffer head = ByteBuffer.wrap(in.readNBytes(HEAD_BYTES)).order(ByteOrder.LITTLE_ENDIAN);
            if (head.limit() < HEAD_BYTES || !head.slice(0, MAGIC.length).equals(ByteBuffer.wrap(MAGIC))) {
                return Optional.empty();
            }
            int length = head.getInt(DESCRIPTION_SIZE_AT);
            if (length < 0 || length > MOST_DESCRIPTION_BYTES) {
                return Optional.empty();
            }
            return Origin.parse(new String(in.readNBytes(length), StandardCharsets.UTF_8));
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
