package org.dolly4j.bench;

import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A prompt of {@code bench/run.sh serving}.
 *
 * @param text in Dolly's template
 * @param tokens the same encoded
 * @param newTokens length of its answer
 */
record ServingPrompt(String text, List<Integer> tokens, @SerializedName("new") int newTokens) {
    /**
     * The file of a run.
     *
     * @param prompts what users ask, in this order
     * @param longPrompts what is read beside them where a row wants that
     */
    record Prompts(List<ServingPrompt> prompts, @SerializedName("long") List<ServingPrompt> longPrompts) {
        static Prompts read(Path file) throws IOException {
            return new Gson().fromJson(Files.readString(file), Prompts.class);
        }
    }
}
