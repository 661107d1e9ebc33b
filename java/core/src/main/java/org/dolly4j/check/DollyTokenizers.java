package org.dolly4j.check;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dolly4j.CheckpointException;

/**
 * Makes Dolly's tokenizers from that of GPT-NeoX-20B: they are its tokenizer.json with three special tokens more. So
 * goldens can be checked where only the base is at hand.
 */
public final class DollyTokenizers {
    private static final String BASE = "gpt-neox-20b";
    private static final String FILE = "tokenizer.json";
    private static final int FIRST_KEY = 50277;

    private DollyTokenizers() {}

    /**
     * Whether the tokenizers can be made.
     *
     * @param bases a folder that may hold the folder {@code gpt-neox-20b}
     */
    public static boolean canBeMadeFrom(Path bases) {
        return Files.exists(bases.resolve(BASE).resolve(FILE));
    }

    /**
     * Writes a folder for each tokenizer that the goldens name: {@code gpt-neox-20b}, {@code dolly-tokenizer} (as
     * published) and {@code dolly-tokenizer-newline} (the newline is part of the response key).
     *
     * @param bases the folder that holds the folder {@code gpt-neox-20b}
     * @param target where the folders are made
     * @throws CheckpointException if tokenizer.json cannot be read, or the folders cannot be written
     */
    public static void write(Path bases, Path target) {
        Path source = bases.resolve(BASE).resolve(FILE);
        try {
            JsonObject base = JsonParser.parseString(Files.readString(source)).getAsJsonObject();
            write(target.resolve(BASE), base);
            write(target.resolve("dolly-tokenizer"), withKeys(base, "### Response:"));
            write(target.resolve("dolly-tokenizer-newline"), withKeys(base, "### Response:\n"));
        } catch (IOException | JsonParseException | IllegalStateException e) {
            throw new CheckpointException("Dolly's tokenizers cannot be made from " + source + " (" + e + ")", e);
        }
    }

    private static void write(Path folder, JsonObject tokenizer) throws IOException {
        Files.createDirectories(folder);
        Files.writeString(folder.resolve(FILE), tokenizer.toString());
    }

    /** A copy of GPT-NeoX-20B's tokenizer.json with Dolly's special tokens. */
    public static JsonObject withKeys(JsonObject base, String responseKey) {
        JsonObject tokenizer = base.deepCopy();
        int id = FIRST_KEY;
        for (String key : List.of("### End", "### Instruction:", responseKey)) {
            JsonObject token = new JsonObject();
            token.addProperty("id", id++);
            token.addProperty("content", key);
            for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
                token.addProperty(flag, false);
            }
            token.addProperty("special", true);
            tokenizer.getAsJsonArray("added_tokens").add(token);
        }
        return tokenizer;
    }
}
