package org.dolly4j;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.dolly4j.check.DollyTokenizers;

/**
 * Dolly's tokenizers for tests, in the three forms in the wild: folders side by side, under the names by which the
 * goldens call them. Written once per run from GPT-NeoX-20B's tokenizer.json, which all three share.
 */
public final class TestTokenizers {
    private static Path folder;

    private TestTokenizers() {}

    /** As published with databricks/dolly-v2-3b, 7b and 12b: "### Response:" is a token, its newline another. */
    public static Path published() {
        return folder().resolve("dolly-tokenizer");
    }

    /** As the later trainer saves it: "### Response:\n" is one token. */
    public static Path newline() {
        return folder().resolve("dolly-tokenizer-newline");
    }

    /** Without the keys, and tokenizer.json alone. */
    public static Path plain() {
        return folder().resolve("gpt-neox-20b");
    }

    /** The folder that holds the three. */
    public static synchronized Path folder() {
        if (folder == null) {
            Path written = Path.of("target", "test-tokenizers").toAbsolutePath();
            JsonObject plain = JsonParser.parseString(read(resource("/tokenizers/gpt-neox-20b/tokenizer.json")))
                    .getAsJsonObject();
            write(written.resolve("gpt-neox-20b/tokenizer.json"), plain);
            writeDolly(written.resolve("dolly-tokenizer"), plain, "### Response:");
            writeDolly(written.resolve("dolly-tokenizer-newline"), plain, "### Response:\n");
            folder = written;
        }
        return folder;
    }

    /** The path of a test resource, for example {@code /goldens/tokenizer}. */
    public static Path resource(String name) {
        URL url = TestTokenizers.class.getResource(name);
        if (url == null) {
            throw new IllegalArgumentException("no test resource " + name);
        }
        try {
            return Path.of(url.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void writeDolly(Path tokenizer, JsonObject plain, String responseKey) {
        JsonArray names = new JsonArray();
        List.of("### End", "### Instruction:", responseKey).forEach(names::add);
        write(tokenizer.resolve("tokenizer.json"), DollyTokenizers.withKeys(plain, responseKey));

        JsonObject config = new JsonObject();
        config.addProperty("add_prefix_space", false);
        config.addProperty("clean_up_tokenization_spaces", false);
        config.addProperty("model_max_length", 1e30);
        config.addProperty("tokenizer_class", "GPTNeoXTokenizer");
        JsonObject map = new JsonObject();
        map.add("additional_special_tokens", names);
        for (String name : List.of("bos_token", "eos_token", "unk_token")) {
            config.addProperty(name, "<|endoftext|>");
            map.addProperty(name, "<|endoftext|>");
        }
        map.addProperty("pad_token", "<|endoftext|>");
        write(tokenizer.resolve("tokenizer_config.json"), config);
        write(tokenizer.resolve("special_tokens_map.json"), map);
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void write(Path file, JsonObject json) {
        try {
            Files.createDirectories(file.getParent());
            Path part = Files.createTempFile(file.getParent(), "part", ".json");
            Files.writeString(part, json.toString());
            Files.move(part, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
