package org.dolly4j.cli;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The goldens and tokenizers that the library's tests bring. */
final class Goldens {
    /** Goldens, a folder for each part. */
    static final Path FOLDER = Path.of("../core/src/test/resources/goldens");

    /** Tokenizers, of which gpt-neox-20b is the base of Dolly's. */
    static final Path TOKENIZERS = Path.of("../core/src/test/resources/tokenizers");

    private static final int FIRST_KEY = 50277;

    private Goldens() {}

    /** Writes the tokenizers that the goldens name, Dolly's with its special tokens, into a folder. */
    static Path writeTokenizers(Path folder) throws IOException {
        String plain = Files.readString(TOKENIZERS.resolve("gpt-neox-20b/tokenizer.json"));
        write(folder.resolve("gpt-neox-20b"), plain);
        write(folder.resolve("dolly-tokenizer"), withKeys(plain, "### Response:"));
        write(folder.resolve("dolly-tokenizer-newline"), withKeys(plain, "### Response:\n"));
        return folder;
    }

    private static String withKeys(String plain, String responseKey) {
        JsonObject tokenizer = JsonParser.parseString(plain).getAsJsonObject();
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
        return tokenizer.toString();
    }

    private static void write(Path folder, String tokenizer) throws IOException {
        Files.createDirectories(folder);
        Files.writeString(folder.resolve("tokenizer.json"), tokenizer);
    }
}
