package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TokenizerTest {
    private static final int MEGABYTE = 1 << 20;

    /** Far above what it takes (about a second, on a busy machine ten) and far below quadratic (hours). */
    private static final Duration LIMIT = Duration.ofMinutes(2);

    private static Tokenizer tokenizer;

    @BeforeAll
    static void load() {
        tokenizer = Tokenizer.load(TestTokenizers.published());
    }

    @Test
    void publishedForm_knowsItsTokens() {
        assertThat(tokenizer.vocabSize()).isEqualTo(50280);
        assertThat(tokenizer.eosTokenId()).hasValue(0);
        assertThat(tokenizer.firstSpecialTokenStartingWith("### Response:")).hasValue(50279);
        assertThat(tokenizer.firstSpecialTokenStartingWith("### ")).hasValue(50277);
        assertThat(tokenizer.firstSpecialTokenStartingWith(" ")).isEmpty(); // those are added, but not special
        assertThat(tokenizer.tokenId("### End")).hasValue(50277);
        assertThat(tokenizer.tokenId("\u0120the")).hasValue(253);
        assertThat(tokenizer.tokenId(" the")).isEmpty();
        assertThat(tokenizer.token(253)).hasValue("\u0120the");
        assertThat(tokenizer.token(50279)).hasValue("### Response:");
        assertThat(tokenizer.token(50280)).isEmpty();
        assertThat(tokenizer.token(-1)).isEmpty();
        assertThat(IntStream.range(-1, 60000).filter(tokenizer::isSpecial)).containsExactly(0, 1, 50277, 50278, 50279);
        assertThat(tokenizer.addedTokens()).hasSize(28);
        assertThat(tokenizer.addedTokens().get(0))
                .isEqualTo(new AddedToken(0, "<|endoftext|>", true, false, false, false, false));
        assertThat(tokenizer.addedTokens().get(2))
                .isEqualTo(new AddedToken(50254, " ".repeat(24), false, false, false, false, true));
    }

    @Test
    void otherForms_endThePromptAsTheirModelsWereTrained() {
        String prompt = "### Response:\n";
        Tokenizer newline = Tokenizer.load(TestTokenizers.newline());
        Tokenizer plain = Tokenizer.load(TestTokenizers.plain());

        assertThat(tokenizer.encode(prompt)).containsExactly(50279, 187);
        assertThat(newline.encode(prompt)).containsExactly(50279);
        assertThat(plain.encode(prompt)).containsExactly(4118, 19371, 27, 187);
        assertThat(newline.firstSpecialTokenStartingWith("### Response:")).hasValue(50279);
        assertThat(plain.firstSpecialTokenStartingWith("### Response:")).isEmpty();
        // AutoTokenizer, too, has no names for a tokenizer.json alone: the model's config.json says what ends its
        // texts.
        assertThat(plain.eosTokenId()).isEmpty();
    }

    @Test
    void idsWithoutAToken_decodeToNothing() {
        assertThat(tokenizer.decode(new int[] {50280, 12092, -1, Integer.MAX_VALUE, Integer.MIN_VALUE}, true))
                .isEqualTo("Hello");
        StreamDecoder stream = tokenizer.newStreamDecoder(false);
        assertThat(stream.append(50280) + stream.append(12092) + stream.append(-1) + stream.finish())
                .isEqualTo("Hello");
    }

    @Test
    void halfASurrogatePair_isEncodedAsReplacementCharacter() {
        int[] replacement = tokenizer.encode("a \uFFFDb");

        assertThat(tokenizer.encode("a \uD83Db")).isEqualTo(replacement);
        assertThat(tokenizer.encode("a \uDE00b")).isEqualTo(replacement);
        assertThat(tokenizer.encode("e\u0301\uD83D")).isEqualTo(tokenizer.encode("\u00e9\uFFFD"));
    }

    @Test
    void encoding_isTheSameWhetherWordsWereMetBeforeOrNot() throws IOException {
        List<String> texts = prompts();
        Tokenizer fresh = Tokenizer.load(TestTokenizers.published());
        List<int[]> first = texts.stream().map(fresh::encode).toList();
        List<int[]> second = texts.stream().map(fresh::encode).toList();
        fresh.clearCache();
        List<int[]> third = texts.stream().map(fresh::encode).toList();

        for (int i = 0; i < texts.size(); i++) {
            assertThat(second.get(i)).isEqualTo(first.get(i));
            assertThat(third.get(i)).isEqualTo(first.get(i));
        }
    }

    @Test
    void threads_mayShareATokenizer() throws Exception {
        List<String> texts = prompts();
        List<int[]> expected = texts.stream().map(tokenizer::encode).toList();
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<Future<Boolean>> results = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                Random random = new Random(thread);
                results.add(threads.submit(() -> {
                    for (int round = 0; round < 500; round++) {
                        int i = random.nextInt(texts.size());
                        if (round % 20 == 0) {
                            tokenizer.clearCache();
                        }
                        assertThat(tokenizer.encode(texts.get(i))).isEqualTo(expected.get(i));
                        assertThat(tokenizer.decode(expected.get(i), false)).isEqualTo(texts.get(i));
                    }
                    return true;
                }));
            }
            for (Future<Boolean> result : results) {
                assertThat(result.get()).isTrue();
            }
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void wordOfAMegabyte_isNotQuadratic() {
        Random random = new Random(1);
        StringBuilder mixed = new StringBuilder();
        while (mixed.length() < MEGABYTE) {
            mixed.append((char) ('a' + random.nextInt(26)));
        }
        List<String> words = List.of("a".repeat(MEGABYTE), mixed.toString(), "=".repeat(MEGABYTE));

        for (String word : words) {
            int[] ids = assertTimeoutPreemptively(LIMIT, () -> tokenizer.encode(word));
            assertThat(tokenizer.decode(ids, false)).isEqualTo(word);
        }
    }

    @Test
    void longRunOfSpacesKeysOrMarks_isNotQuadratic() {
        for (String text : List.of(
                " ".repeat(MEGABYTE),
                "#".repeat(MEGABYTE),
                "a" + "\u0301\u0316".repeat(MEGABYTE / 4),
                "\u1100\u1161\u11a8".repeat(MEGABYTE / 8))) {
            int[] ids = assertTimeoutPreemptively(LIMIT, () -> tokenizer.encode(text));
            assertThat(tokenizer.decode(ids, false)).isEqualTo(UnicodeData.nfc(text));
        }
    }

    private static List<String> prompts() throws IOException {
        Path file = TestTokenizers.resource("/goldens/tokenizer/encode_prompts.jsonl");
        return Files.readAllLines(file).stream()
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .map((JsonObject line) -> line.get("text").getAsString())
                .toList();
    }
}
