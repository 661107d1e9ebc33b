package org.dolly4j.check;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.dolly4j.CheckpointException;

/**
 * An object of a goldens file: a line, or one within it. A field that is missing or of another kind throws a {@link
 * CheckpointException} that names file, line and field.
 */
final class GoldenLine {
    private static final int SHOWN = 60;

    private final String place;
    private final JsonObject object;

    /** @param place where the object stands, for messages */
    GoldenLine(String place, JsonObject object) {
        this.place = place;
        this.object = object;
    }

    Set<String> fields() {
        return object.keySet();
    }

    /** Whether the field is there and not null. */
    boolean has(String field) {
        return object.has(field) && !object.get(field).isJsonNull();
    }

    String text(String field) {
        return read(field, "a text", JsonElement::getAsString);
    }

    /** A value of any kind as text. */
    String string(String field) {
        return read(field, "a value", JsonElement::getAsString);
    }

    boolean flag(String field) {
        return read(field, "true or false", JsonElement::getAsBoolean);
    }

    int integer(String field) {
        return read(field, "a whole number", JsonElement::getAsInt);
    }

    double number(String field) {
        return read(field, "a number", JsonElement::getAsDouble);
    }

    List<Integer> integers(String field) {
        return list(field, "whole numbers", JsonElement::getAsInt);
    }

    int[] ints(String field) {
        return integers(field).stream().mapToInt(Integer::intValue).toArray();
    }

    List<List<Integer>> integerLists(String field) {
        return list(field, "lists of whole numbers", element -> element.getAsJsonArray().asList().stream()
                .map(JsonElement::getAsInt)
                .toList());
    }

    /** A list of pairs of a list of whole numbers and a number: the first by the second, in their order. */
    Map<List<Integer>, Double> weightedLists(String field) {
        Map<List<Integer>, Double> weights = new LinkedHashMap<>();
        for (JsonArray pair : list(field, "pairs", JsonElement::getAsJsonArray)) {
            List<Integer> integers = pair.get(0).getAsJsonArray().asList().stream()
                    .map(JsonElement::getAsInt)
                    .toList();
            weights.put(integers, pair.get(1).getAsDouble());
        }
        return weights;
    }

    double[] numbers(String field) {
        return list(field, "numbers", JsonElement::getAsDouble).stream()
                .mapToDouble(Double::doubleValue)
                .toArray();
    }

    /** Scores, where null is negative infinity. */
    float[] scores(String field) {
        List<Float> list = list(
                field,
                "numbers or nulls",
                element -> element.isJsonNull() ? Float.NEGATIVE_INFINITY : element.getAsFloat());
        float[] scores = new float[list.size()];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = list.get(i);
        }
        return scores;
    }

    List<String> texts(String field) {
        return list(field, "texts", JsonElement::getAsString);
    }

    GoldenLine object(String field) {
        return new GoldenLine(place + ", " + field, read(field, "an object", JsonElement::getAsJsonObject));
    }

    List<GoldenLine> objects(String field) {
        List<GoldenLine> lines = new ArrayList<>();
        for (JsonObject element : list(field, "objects", JsonElement::getAsJsonObject)) {
            lines.add(new GoldenLine(place + ", " + field + "[" + lines.size() + "]", element));
        }
        return lines;
    }

    private <T> List<T> list(String field, String elements, Function<JsonElement, T> reader) {
        return read(field, "a list of " + elements, value -> value.getAsJsonArray().asList().stream()
                .map(reader)
                .toList());
    }

    private <T> T read(String field, String kind, Function<JsonElement, T> reader) {
        JsonElement value = object.get(field);
        if (value == null) {
            throw new CheckpointException(place + " lacks the field '" + field + "'");
        }
        try {
            return reader.apply(value);
        } catch (IllegalStateException | UnsupportedOperationException | NumberFormatException e) {
            String found = value.toString();
            throw new CheckpointException(
                    "%s: the field '%s' should be %s but is %s"
                            .formatted(
                                    place,
                                    field,
                                    kind,
                                    found.length() <= SHOWN ? found : found.substring(0, SHOWN) + "..."),
                    e);
        }
    }
}
