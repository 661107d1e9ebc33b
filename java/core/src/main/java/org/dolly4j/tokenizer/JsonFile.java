package org.dolly4j.tokenizer;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import org.dolly4j.CheckpointException;

/** Reads one JSON file from start to end; whatever is not as expected becomes a message that names file and place. */
final class JsonFile implements AutoCloseable {
    /** Tokenizers of ten times Dolly's vocabulary stay below it; a file above is not worth the memory to find out. */
    private static final long MAX_BYTES = 64L << 20;

    private final Path path;
    private final JsonReader reader;

    /** Takes the value of one key of an object. */
    @FunctionalInterface
    interface Field {
        void read(String key) throws IOException;
    }

    /** Reads a file's one value. */
    @FunctionalInterface
    interface Content<T> {
        T read(JsonFile file) throws IOException;
    }

    private JsonFile(Path path, JsonReader reader) {
        this.path = path;
        this.reader = reader;
    }

    /** Reads the file, which holds one value and nothing after it. */
    static <T> T read(Path path, Content<T> content) {
        String name = path.toString();
        try (JsonFile file = open(path)) {
            T value = content.read(file);
            file.expect(JsonToken.END_DOCUMENT, "at its end");
            return value;
        } catch (FileSystemException e) {
            throw new CheckpointException(name + ": cannot be read (" + e + ").", e);
        } catch (CharacterCodingException e) {
            throw new CheckpointException(name + ": not valid UTF-8. The file is damaged: fetch it again.", e);
        } catch (IOException | JsonParseException | IllegalStateException e) {
            String why = String.valueOf(e.getMessage());
            int end = why.indexOf('\n'); // Gson adds a link on a line of its own
            throw new CheckpointException(
                    name + ": not readable as JSON: " + (end < 0 ? why : why.substring(0, end))
                            + ". The file is damaged or cut off: fetch it again.",
                    e);
        }
    }

    /** Reads the file as one object held in memory. */
    static JsonObject readObject(Path path) {
        return read(path, file -> {
            file.expect(JsonToken.BEGIN_OBJECT, "an object");
            return file.tree().getAsJsonObject();
        });
    }

    private static JsonFile open(Path path) throws IOException {
        long bytes = Files.size(path);
        if (bytes > MAX_BYTES) {
            throw new CheckpointException("%s: %s bytes, more than the %s that a file of a tokenizer may have."
                    .formatted(path, bytes, MAX_BYTES));
        }
        JsonReader reader = new JsonReader(new BufferedReader(new InputStreamReader(
                Files.newInputStream(path),
                StandardCharsets.UTF_8
                        .newDecoder()
                        .onMalformedInput(CodingErrorAction.REPORT)
                        .onUnmappableCharacter(CodingErrorAction.REPORT))));
        reader.setStrictness(Strictness.STRICT);
        return new JsonFile(path, reader);
    }

    /** An error at the place reached. */
    CheckpointException error(String what) {
        return new CheckpointException(path + ": " + place() + " " + what);
    }

    /** The place reached, for example {@code model.merges[3]}. */
    String place() {
        return place(reader.getPath());
    }

    private static String place(String place) {
        return place.equals("$") ? "the file" : place.substring(place.startsWith("$.") ? 2 : 1);
    }

    JsonToken peek() throws IOException {
        return reader.peek();
    }

    /** Reads an object; the keys come in the order of the file, none twice. */
    void object(Field field) throws IOException {
        Set<String> seen = new HashSet<>();
        map(key -> {
            if (!seen.add(key)) {
                throw error("stands twice in its object");
            }
            field.read(key);
        });
    }

    /** Reads an object whose keys the reader of its fields checks. */
    void map(Field field) throws IOException {
        expect(JsonToken.BEGIN_OBJECT, "an object");
        reader.beginObject();
        while (reader.hasNext()) {
            field.read(reader.nextName());
        }
        reader.endObject();
    }

    void beginArray() throws IOException {
        expect(JsonToken.BEGIN_ARRAY, "an array");
        reader.beginArray();
    }

    boolean hasNext() throws IOException {
        return reader.hasNext();
    }

    void endArray() throws IOException {
        expect(JsonToken.END_ARRAY, "the last element");
        reader.endArray();
    }

    String string() throws IOException {
        expect(JsonToken.STRING, "a string");
        String text = reader.nextString();
        if (hasUnpairedSurrogate(text)) {
            throw new CheckpointException(path + ": " + place(reader.getPreviousPath())
                    + " has half a surrogate pair, which is no character.");
        }
        return text;
    }

    /** Whether the text has half a surrogate pair, as an escape in JSON can spell it. */
    static boolean hasUnpairedSurrogate(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i))) {
                if (i + 1 == text.length() || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
                    return true;
                }
                i++;
            }
        }
        return false;
    }

    /** Reads a whole number from 0 to {@code most}. */
    int index(int most) throws IOException {
        expect(JsonToken.NUMBER, "a number");
        String digits = reader.nextString();
        long value = -1;
        if (digits.length() <= 10 && isDecimal(digits)) {
            value = Long.parseLong(digits);
        }
        if (value < 0 || value > most) {
            throw new CheckpointException("%s: %s is %s but should be a whole number from 0 to %s"
                    .formatted(path, place(reader.getPreviousPath()), digits, most));
        }
        return (int) value;
    }

    /** A loop: a stream for each number of a vocabulary is most of what a first start compiles. */
    private static boolean isDecimal(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) < '0' || text.charAt(i) > '9') {
                return false;
            }
        }
        return true;
    }

    boolean bool() throws IOException {
        expect(JsonToken.BOOLEAN, "true or false");
        return reader.nextBoolean();
    }

    /** Reads a value of any kind into memory. */
    JsonElement tree() {
        return JsonParser.parseReader(reader);
    }

    void skip() throws IOException {
        reader.skipValue();
    }

    private void expect(JsonToken expected, String name) throws IOException {
        JsonToken found = reader.peek();
        if (found != expected) {
            throw error("should be " + name + " but is " + describe(found));
        }
    }

    private static String describe(JsonToken token) {
        return switch (token) {
            case BEGIN_ARRAY -> "an array";
            case BEGIN_OBJECT -> "an object";
            case STRING -> "a string";
            case NUMBER -> "a number";
            case BOOLEAN -> "true or false";
            case NULL -> "null";
            case END_ARRAY, END_OBJECT, END_DOCUMENT, NAME -> "at its end";
        };
    }

    @Override
    public void close() throws IOException {
        reader.close();
    }
}
