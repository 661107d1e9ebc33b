package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenizeCommandTest {
    private static final String TEXT = "The capital of Peru: \u00e9\ud83c\udf89";

    @Test
    void tokens_areShownOneALine() {
        Run run = Run.of("tokenize", "The capital");

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines()).containsExactly("   368  \"The\"", "   602  \" capital\"");
        assertThat(run.err().lines()).singleElement().asString().contains("demo model", "--model PATH");
    }

    @Test
    void partOfACharacter_isShownAsTokenizerJsonSpellsIt() {
        assertThat(Run.of("tokenize", "\u00e9").out()).contains("\u00c3  (bytes of a character)");
    }

    @Test
    void idsDecoded_areTheText() {
        String ids = Run.of("tokenize", "--ids", TEXT).out();

        assertThat(ids).matches("[0-9]+( [0-9]+)+\n");
        assertThat(Run.withInput(ids, "tokenize", "--decode").out()).isEqualTo(TEXT + "\n");
        assertThat(Run.of("tokenize", "--decode", "368,602").out()).isEqualTo("The capital\n");
    }

    @Test
    void specialTokens_areTokensOrTextAndMayBeLeftOut() {
        assertThat(Run.of("tokenize", "--ids", "### End").out()).isEqualTo("4093\n");
        assertThat(Run.of("tokenize", "--ids", "--split-special-tokens", "### End")
                        .out())
                .doesNotContain("4093");
        assertThat(Run.of("tokenize", "--decode", "368 4093").out()).isEqualTo("The### End\n");
        assertThat(Run.of("tokenize", "--decode", "--skip-special-tokens", "368 4093")
                        .out())
                .isEqualTo("The\n");
    }

    @Test
    void json_holdsIdsAndTokens() {
        JsonObject object = JsonParser.parseString(
                        Run.withInput("The capital\n", "tokenize", "--json").out())
                .getAsJsonObject();

        assertThat(object.get("ids")).hasToString("[368,602]");
        assertThat(object.get("tokens")).hasToString("[\"The\",\"\u0120capital\"]");
    }

    @Test
    void otherTokenizer_isRead() {
        Run run = Run.of(
                "tokenize",
                "--model",
                Goldens.TOKENIZERS.resolve("gpt-neox-20b").toString(),
                "--ids",
                "hello");

        assertThat(run.out()).isEqualTo("25521\n");
        assertThat(run.err()).isEmpty();
    }

    @Test
    void missingTokenizer_isOneLine() {
        Run run = Run.of("tokenize", "--model", "/no/such/folder", "hello");

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err().lines()).singleElement().asString().contains("/no/such/folder", "tokenizer.json");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--decode;5 x | found 'x'",
                "--decode;-5 | found '-5'",
                "--ids;--json;a | --ids, --json are mutually exclusive",
                "--skip-special-tokens;a | goes with --decode only",
                "--split-special-tokens;--decode;5 | does not go with --decode",
                "--ids | Give a text in quotes",
                "a;b | one argument too many: 'b'",
            })
    void wrongUse_isRefused(String args, String message) {
        Run run = Run.of(("tokenize;" + args).split(";"));

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(message, "See dolly tokenize --help");
    }
}
