package org.dolly4j.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.time.Duration;
import org.dolly4j.Generation;
import org.dolly4j.GenerationResult;

/** Prints answers as JSON, one object a line. */
final class JsonAnswers {
    static final Gson GSON = new GsonBuilder().disableHtmlEscaping().create();

    private JsonAnswers() {}

    /**
     * Prints the answers of a result.
     *
     * @param prompt index of the prompt that it belongs to
     */
    static void print(Output out, int prompt, GenerationResult result) {
        for (int i = 0; i < result.generations().size(); i++) {
            out.println(GSON.toJson(answer(prompt, i, result)));
        }
    }

    private static JsonObject answer(int prompt, int sequence, GenerationResult result) {
        Generation answer = result.generations().get(sequence);
        JsonObject object = new JsonObject();
        object.addProperty("prompt", prompt);
        object.addProperty("sequence", sequence);
        object.addProperty("text", answer.text());
        object.add("token_ids", array(answer.tokenIds()));
        object.addProperty("finish_reason", NameConverter.name(answer.finishReason()));
        object.addProperty("prompt_tokens", result.promptTokens());
        object.addProperty("completion_tokens", answer.tokenIds().length);
        object.addProperty("seed", result.seed());
        JsonObject timings = new JsonObject();
        timings.addProperty("queue_seconds", seconds(result.timings().queue()));
        timings.addProperty("first_token_seconds", seconds(result.timings().firstToken()));
        timings.addProperty("total_seconds", seconds(result.timings().total()));
        object.add("timings", timings);
        return object;
    }

    static JsonArray array(int[] ids) {
        JsonArray array = new JsonArray(ids.length);
        for (int id : ids) {
            array.add(id);
        }
        return array;
    }

    private static double seconds(Duration duration) {
        return duration.toNanos() / 1e9;
    }
}
