package org.dolly4j.check;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dolly4j.CheckpointException;

/** Reads the files of a goldens folder. */
final class Goldens {
    private Goldens() {}

    /**
     * The objects of a .jsonl file, one a line.
     *
     * @throws CheckpointException if the file cannot be read, or a line is not an object
     */
    static List<JsonObject> lines(Path file) {
        List<JsonObject> objects = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
                objects.add(JsonParser.parseString(line).getAsJsonObject());
            }
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
        } catch (JsonParseException | IllegalStateException e) {
            throw new CheckpointException(file + ": line " + (objects.size() + 1) + " is not a JSON object", e);
        }
        return objects;
    }

    /** The whole numbers of an array field. */
    static int[] ints(JsonObject object, String field) {
        JsonArray array = object.getAsJsonArray(field);
        int[] ints = new int[array.size()];
        for (int i = 0; i < ints.length; i++) {
            ints[i] = array.get(i).getAsInt();
        }
        return ints;
    }

    /** A string field. */
    static String text(JsonObject object, String field) {
        return object.get(field).getAsString();
    }
}
