package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Features beyond Dolly's own tokenizers, against what transformers makes of the same files. */
class TokenizerVariantsTest {
    @TempDir
    Path folder;

    static Stream<JsonObject> variants() throws IOException {
        Path file = TestTokenizers.resource("/tokenizers/small/variants.jsonl");
        return Files.readAllLines(file).stream()
                .map(line -> JsonParser.parseString(line).getAsJsonObject());
    }

    @ParameterizedTest
    @MethodSource("variants")
    void variant_encodesAndDecodesAsTransformersDoes(JsonObject variant) throws IOException {
        Tokenizer tokenizer = Tokenizer.load(write(variant));

        String name = variant.get("name").getAsString()
                + (variant.get("as_vocabulary").getAsBoolean() ? " by vocab.json and merges.txt" : "");
        OptionalInt eos = variant.get("eos").isJsonNull()
                ? OptionalInt.empty()
                : OptionalInt.of(variant.get("eos").getAsInt());
        assertThat(tokenizer.eosTokenId()).as(name).isEqualTo(eos);
        if (!name.equals("byte missing")) { // there the ids have a gap, and transformers counts tokens
            assertThat(tokenizer.vocabSize())
                    .as(name)
                    .isEqualTo(variant.get("size").getAsInt());
        }
        for (JsonElement element : variant.getAsJsonArray("cases")) {
            JsonObject testCase = element.getAsJsonObject();
            String text = testCase.get("text").getAsString();
            String as = name + ": '" + text + "'";
            int[] ids = ints(testCase.getAsJsonArray("ids"));
            assertThat(tokenizer.encode(text)).as(as).isEqualTo(ids);
            assertThat(tokenizer.encodeAsText(text))
                    .as(as + " as text")
                    .isEqualTo(ints(testCase.getAsJsonArray("ids_split_special")));
            for (boolean skip : new boolean[] {false, true}) {
                String decoded =
                        testCase.get(skip ? "decoded_skip_special" : "decoded").getAsString();
                assertThat(tokenizer.decode(ids, skip)).as(as).isEqualTo(decoded);
                assertThat(stream(tokenizer, ids, skip)).as(as + " streamed").isEqualTo(decoded);
            }
        }
    }

    private static String stream(Tokenizer tokenizer, int[] ids, boolean skip) {
        StreamDecoder decoder = tokenizer.newStreamDecoder(skip);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(decoder.append(id));
        }
        return text.append(decoder.finish()).toString();
    }

    private Path write(JsonObject variant) throws IOException {
        String base = Files.readString(TestTokenizers.resource("/tokenizers/small/tokenizer.json"));
        JsonElement tokenizer = mergePatch(JsonParser.parseString(base), variant.get("patch"));
        if (variant.get("as_vocabulary").getAsBoolean()) {
            writeVocabulary(tokenizer.getAsJsonObject().getAsJsonObject("model"));
        } else {
            Files.writeString(folder.resolve("tokenizer.json"), tokenizer.toString());
        }
        for (Map.Entry<String, JsonElement> file :
                variant.getAsJsonObject("files").entrySet()) {
            Files.writeString(
                    folder.resolve(file.getKey() + ".json"), file.getValue().toString());
        }
        return folder;
    }

    private void writeVocabulary(JsonObject model) throws IOException {
        Files.writeString(folder.resolve("vocab.json"), model.get("vocab").toString());
        List<String> lines = new ArrayList<>(List.of("#version: 0.2"));
        model.getAsJsonArray("merges").forEach(merge -> lines.add(merge.getAsString()));
        Files.write(folder.resolve("merges.txt"), lines);
    }

    /** RFC 7396. */
    private static JsonElement mergePatch(JsonElement target, JsonElement patch) {
        if (!patch.isJsonObject()) {
            return patch;
        }
        JsonObject result = target != null && target.isJsonObject() ? target.getAsJsonObject() : new JsonObject();
        patch.getAsJsonObject().entrySet().forEach(entry -> {
            if (entry.getValue().isJsonNull()) {
                result.remove(entry.getKey());
            } else {
                result.add(entry.getKey(), mergePatch(result.get(entry.getKey()), entry.getValue()));
            }
        });
        return result;
    }

    private static int[] ints(JsonArray array) {
        return array.asList().stream().mapToInt(JsonElement::getAsInt).toArray();
    }
}
