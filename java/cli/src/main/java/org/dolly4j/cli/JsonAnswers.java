package org.dolly4j.cli;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.time.Duration;
import java.util.List;
import org.dolly4j.Generation;
import org.dolly4j.GenerationResult;
import org.dolly4j.sampling.TokenLogprobs;

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
        answer.score().ifPresent(score -> object.addProperty("score", score));
        if (!answer.logprobs().isEmpty()) {
            object.add("logprobs", logprobs(answer.tokenIds(), answer.logprobs()));
        }
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

    /** The log-probability of each token, and of the likeliest ones at its place. */
    static JsonArray logprobs(int[] ids, List<TokenLogprobs> logprobs) {
        JsonArray array = new JsonArray(ids.length);
        for (int i = 0; i < ids.length; i++) {
            JsonObject token = logprob(ids[i], logprobs.get(i).logprob());
            JsonArray top = new JsonArray();
            logprobs.get(i).top().forEach(other -> top.add(logprob(other.tokenId(), other.logprob())));
            token.add("top", top);
            array.add(token);
        }
        return array;
    }

    private static JsonObject logprob(int id, double logprob) {
        JsonObject object = new JsonObject();
        object.addProperty("token_id", id);
        addLogprob(object, logprob);
        return object;
    }

    /** That of something impossible is null: JSON has no infinity. */
    static void addLogprob(JsonObject object, double logprob) {
        object.add("logprob", Double.isFinite(logprob) ? new JsonPrimitive(logprob) : JsonNull.INSTANCE);
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
