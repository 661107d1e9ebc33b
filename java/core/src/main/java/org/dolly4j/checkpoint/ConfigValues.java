package org.dolly4j.checkpoint;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonPrimitive;
import com.google.gson.TypeAdapter;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import org.dolly4j.CheckpointException;

/**
 * The values of a configuration file (config.json, generation_config.json), read key by key. A JSON null counts as
 * absent, as in Hugging Face. Every method throws {@link CheckpointException}, naming file and key, if the value is of
 * another type or outside of the range asked for. Immutable.
 */
public final class ConfigValues {
    /** Largest file read. Published ones have some kB; those with a label table some MB. */
    private static final long MAX_BYTES = 4L << 20;

    /** The keys that hold the element type of weights, the newer one first. */
    private static final List<String> DTYPE_KEYS = List.of("dtype", "torch_dtype");

    private static final TypeAdapter<JsonElement> JSON = new Gson().getAdapter(JsonElement.class);
    private static final Gson WRITTEN = new GsonBuilder()
            .setPrettyPrinting()
            .disableHtmlEscaping()
            .serializeNulls()
            .create();

    private final Path file;
    private final String parentKeys;
    private final JsonObject object;

    private ConfigValues(Path file, String parentKeys, JsonObject object) {
        this.file = file;
        this.parentKeys = parentKeys;
        this.object = object;
    }

    /**
     * Reads a file that holds one JSON object.
     *
     * @throws CheckpointException if it can't be read, exceeds 4 MB, or is not one JSON object
     */
    public static ConfigValues read(Path file) {
        try (CheckpointFile open = CheckpointFile.open(file);
                JsonReader json = open.json(0, open.size())) {
            if (open.size() > MAX_BYTES) {
                throw open.error("has %,d bytes; a configuration file has at most %,d.", open.size(), MAX_BYTES);
            }
            JsonElement root = JSON.read(json);
            if (!root.isJsonObject() || json.peek() != JsonToken.END_DOCUMENT) {
                throw open.error("is not one JSON object, so it is no configuration file.");
            }
            return new ConfigValues(file, "", root.getAsJsonObject());
        } catch (IOException | JsonParseException e) {
            throw CheckpointFile.notJson(file, "the JSON", e);
        }
    }

    /** The file these values are from. */
    public Path file() {
        return file;
    }

    /** All keys of this object, in the file's order. */
    public Set<String> keys() {
        return Collections.unmodifiableSet(object.keySet());
    }

    /** Whether the key is present with a value other than null. */
    public boolean has(String key) {
        return value(key).isPresent();
    }

    /** A text that must be there. */
    public String requiredString(String key) {
        return string(key).orElseThrow(() -> missing(key));
    }

    /** A text. */
    public Optional<String> string(String key) {
        return value(key).map(v -> {
            if (!isPrimitive(v) || !v.getAsJsonPrimitive().isString()) {
                throw wrong(key, "a text", v);
            }
            return v.getAsString();
        });
    }

    /** A truth value. */
    public Optional<Boolean> bool(String key) {
        return value(key).map(v -> {
            if (!isPrimitive(v) || !v.getAsJsonPrimitive().isBoolean()) {
                throw wrong(key, "true or false", v);
            }
            return v.getAsBoolean();
        });
    }

    /** A whole number from {@code min} to {@code max} that must be there. */
    public int requiredInt(String key, int min, int max) {
        return integer(key, min, max).orElseThrow(() -> missing(key));
    }

    /** A whole number from {@code min} to {@code max}. */
    public OptionalInt integer(String key, int min, int max) {
        Optional<JsonElement> v = value(key);
        return v.isPresent() ? OptionalInt.of(toInt(key, v.get(), min, max)) : OptionalInt.empty();
    }

    /** A finite number. */
    public OptionalDouble number(String key) {
        Optional<JsonElement> v = value(key);
        return v.isPresent() ? OptionalDouble.of(toDouble(key, v.get())) : OptionalDouble.empty();
    }

    /** Whole numbers from {@code min} to {@code max}: a list of them, or one alone; empty if absent. */
    public List<Integer> integers(String key, int min, int max) {
        List<Integer> integers = new ArrayList<>();
        value(key).ifPresent(v -> {
            if (v.isJsonArray()) {
                v.getAsJsonArray().forEach(item -> integers.add(toInt(key, item, min, max)));
            } else {
                integers.add(toInt(key, v, min, max));
            }
        });
        return List.copyOf(integers);
    }

    /** A list of lists of whole numbers from {@code min} to {@code max}; empty if absent. */
    public List<List<Integer>> integerLists(String key, int min, int max) {
        List<List<Integer>> lists = new ArrayList<>();
        for (JsonElement list : array(key)) {
            if (!list.isJsonArray()) {
                throw wrong(key, "a list of lists of whole numbers", list);
            }
            List<Integer> integers = new ArrayList<>();
            list.getAsJsonArray().forEach(item -> integers.add(toInt(key, item, min, max)));
            lists.add(List.copyOf(integers));
        }
        return List.copyOf(lists);
    }

    /**
     * A list of pairs of a list of whole numbers from {@code min} to {@code max} and a finite number, the first by the
     * second; empty if absent.
     */
    public Map<List<Integer>, Double> weightedLists(String key, int min, int max) {
        Map<List<Integer>, Double> weights = new LinkedHashMap<>();
        if (value(key)
                .filter(v -> v.isJsonObject() && v.getAsJsonObject().isEmpty())
                .isPresent()) {
            return weights;
        }
        for (JsonElement pair : array(key)) {
            if (!pair.isJsonArray()
                    || pair.getAsJsonArray().size() != 2
                    || !pair.getAsJsonArray().get(0).isJsonArray()) {
                throw wrong(key, "a list of pairs of a list of whole numbers and a number", pair);
            }
            List<Integer> integers = new ArrayList<>();
            pair.getAsJsonArray().get(0).getAsJsonArray().forEach(item -> integers.add(toInt(key, item, min, max)));
            weights.put(
                    List.copyOf(integers), toDouble(key, pair.getAsJsonArray().get(1)));
        }
        return weights;
    }

    /** Texts: a list of them, or one alone; empty if absent. */
    public List<String> strings(String key) {
        Optional<JsonElement> v = value(key);
        if (v.isPresent() && !v.get().isJsonArray()) {
            return List.of(requiredString(key));
        }
        List<String> strings = new ArrayList<>();
        for (JsonElement item : array(key)) {
            if (!isPrimitive(item) || !item.getAsJsonPrimitive().isString()) {
                throw wrong(key, "a text or a list of texts", item);
            }
            strings.add(item.getAsString());
        }
        return List.copyOf(strings);
    }

    /** A value of any type: a {@link Double}, {@link Boolean} or {@link String}; a list or object as its JSON. */
    public Optional<Object> plain(String key) {
        return value(key).map(v -> {
            if (!(v instanceof JsonPrimitive primitive)) {
                return v.toString();
            }
            return primitive.isNumber()
                    ? (Object) primitive.getAsDouble()
                    : primitive.isBoolean() ? (Object) primitive.getAsBoolean() : primitive.getAsString();
        });
    }

    /** A nested object. */
    public Optional<ConfigValues> object(String key) {
        return value(key).map(v -> {
            if (!v.isJsonObject()) {
                throw wrong(key, "an object", v);
            }
            return new ConfigValues(file, parentKeys + key + ".", v.getAsJsonObject());
        });
    }

    /**
     * The JSON of this object with another element type of weights: under the keys that hold it, or else under the one
     * that all versions of Hugging Face read. All else is the same, in the same order.
     */
    String withDType(DType dtype) {
        JsonObject changed = object.deepCopy();
        List<String> keys = DTYPE_KEYS.stream().filter(changed::has).toList();
        for (String key : keys.isEmpty() ? List.of("torch_dtype") : keys) {
            changed.addProperty(key, dtype.name().toLowerCase(Locale.ROOT));
        }
        return WRITTEN.toJson(changed) + "\n";
    }

    /**
     * The exception for a value that is well-formed but can't be used.
     *
     * @param key key of the value
     * @param format what is wrong with it and what to do; follows file and key in the message
     * @param args arguments of the format
     */
    public CheckpointException refuse(String key, String format, Object... args) {
        return CheckpointFile.error(file, "%s%s %s", parentKeys, key, String.format(Locale.ROOT, format, args));
    }

    private Optional<JsonElement> value(String key) {
        return Optional.ofNullable(object.get(key)).filter(v -> !v.isJsonNull());
    }

    private JsonArray array(String key) {
        JsonElement v = value(key).orElseGet(JsonArray::new);
        if (!v.isJsonArray()) {
            throw wrong(key, "a list", v);
        }
        return v.getAsJsonArray();
    }

    private int toInt(String key, JsonElement v, int min, int max) {
        double number = isPrimitive(v) && v.getAsJsonPrimitive().isNumber() ? v.getAsDouble() : Double.NaN;
        if (number != Math.rint(number) || number < min || number > max) {
            throw wrong(key, String.format(Locale.ROOT, "a whole number from %,d to %,d", min, max), v);
        }
        return (int) number;
    }

    private double toDouble(String key, JsonElement v) {
        double number = isPrimitive(v) && v.getAsJsonPrimitive().isNumber() ? v.getAsDouble() : Double.NaN;
        if (!Double.isFinite(number)) {
            throw wrong(key, "a finite number", v);
        }
        return number;
    }

    private CheckpointException missing(String key) {
        return refuse(key, "is missing. Get the file of the published model.");
    }

    private CheckpointException wrong(String key, String expected, JsonElement found) {
        return refuse(key, "must be %s, but is %s.", expected, describe(found));
    }

    private static String describe(JsonElement v) {
        if (v.isJsonArray()) {
            return "a list";
        }
        if (v.isJsonObject()) {
            return "an object";
        }
        String text = v.toString();
        return text.length() <= 60 ? text : text.substring(0, 60) + "...";
    }

    private static boolean isPrimitive(JsonElement v) {
        return v instanceof JsonPrimitive;
    }

    @Override
    public String toString() {
        return file + " " + keys();
    }
}
