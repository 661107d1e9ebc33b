package org.dolly4j.cli;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dolly4j.DollyException;

/**
 * Something to answer.
 *
 * @param instruction what to do
 * @param context the text that it is about, if any
 * @param source where it stands, for messages; empty for the command line itself
 */
record Prompt(String instruction, Optional<String> context, String source) {
    /**
     * Reads prompts, one a line; blank lines are passed over. A line that begins with a brace is a JSON object in the
     * schema of databricks-dolly-15k ({@code instruction}, {@code context}, others ignored), any other an instruction.
     *
     * @param text the lines
     * @param file where they are from
     * @throws DollyException if a line is not such an object, or there is no line
     */
    static List<Prompt> lines(String text, String file) {
        List<Prompt> prompts = new ArrayList<>();
        int number = 0;
        for (String line : text.lines().toList()) {
            String source = file + ", line " + ++number;
            if (line.stripLeading().startsWith("{")) {
                prompts.add(fromJson(line, source));
            } else if (!line.isBlank()) {
                prompts.add(new Prompt(line, Optional.empty(), source));
            }
        }
        if (prompts.isEmpty()) {
            throw new DollyException(file + " holds no instruction: put one in each line.");
        }
        return prompts;
    }

    private static Prompt fromJson(String line, String source) {
        JsonObject object;
        try {
            object = JsonParser.parseString(line).getAsJsonObject();
        } catch (JsonParseException | IllegalStateException e) {
            throw new DollyException(source + " begins like a JSON object but is none.", e);
        }
        String instruction = text(object, "instruction", source)
                .orElseThrow(() -> new DollyException(source + ": the JSON object has no 'instruction'; it has "
                        + String.join(", ", object.keySet()) + "."));
        return new Prompt(instruction, text(object, "context", source), source);
    }

    private static Optional<String> text(JsonObject object, String field, String source) {
        JsonElement value = object.get(field);
        if (value == null || value.isJsonNull()) {
            return Optional.empty();
        }
        if (!value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
            throw new DollyException(source + ": '" + field + "' must be a text, not " + value + ".");
        }
        return Optional.of(value.getAsString());
    }
}
