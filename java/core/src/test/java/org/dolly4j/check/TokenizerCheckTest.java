package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerCheckTest {
    private static final Map<String, Integer> LINES = Map.of(
            "tokenizer/decode", 1870,
            "tokenizer/decode_newline", 156,
            "tokenizer/encode_adversarial", 1446,
            "tokenizer/encode_fuzz", 1000,
            "tokenizer/encode_newline", 321,
            "tokenizer/encode_prompts", 151,
            "tokenizer/encode_unicode_versions", 104,
            "tokenizer/stream", 950,
            "tokenizer/unicode_tables", 1123,
            "tokenizer/plain form", 2263);

    @TempDir
    Path folder;

    @Test
    void everyGoldenLineOfTheThreeFormsPasses() {
        List<CheckReport> reports =
                TokenizerCheck.run(TestTokenizers.resource("/goldens/tokenizer"), TestTokenizers.folder());

        Map<String, Integer> passed = new LinkedHashMap<>();
        for (CheckReport report : reports) {
            assertThat(report.failures()).as(report.part()).isEmpty();
            assertThat(report.skips()).as(report.part()).isEmpty();
            passed.put(report.part(), report.passed());
        }
        assertThat(passed).containsExactlyInAnyOrderEntriesOf(LINES);
    }

    @Test
    void aWrongLineFailsAndSaysWhatWasFound() throws IOException {
        write("encode_one.jsonl", "{\"text\":\"Hello\",\"ids\":[12092]}", "{\"text\":\"Hello\",\"ids\":[1,2]}");
        write("decode.jsonl", "{\"ids\":[12092,0],\"text\":\"Hello<|endoftext|>\",\"text_skip_special\":\"Hallo\"}");
        write(
                "stream.jsonl",
                "{\"ids\":[12092],\"skip_special\":false,\"text\":\"Hello\",\"shown_utf16\":[4]}",
                "{\"ids\":[12092],\"skip_special\":false,\"text\":\"Hello\",\"shown_utf16\":[5]}");
        write(
                "unicode_tables.json",
                "{\"letter\":[[65,90]],\"number\":[],\"space\":[],\"nfc_single\":{\"340\":\"\\u0300\",\"341\":\"x\"}}");

        Map<String, CheckReport> reports = run(TestTokenizers.folder());

        assertThat(reports.get("tokenizer/encode_one").passed()).isEqualTo(1);
        assertThat(reports.get("tokenizer/encode_one").failures())
                .containsExactly("line 2: ids differ from index 0: expected [1, 2], found [12092]");
        assertThat(reports.get("tokenizer/decode").failures())
                .containsExactly("line 1: expected 'Hallo', found 'Hello'");
        assertThat(reports.get("tokenizer/stream").passed()).isEqualTo(1);
        assertThat(reports.get("tokenizer/stream").failures())
                .containsExactly("line 1: after token 0 5 chars were shown, 4 are certain");
        assertThat(reports.get("tokenizer/unicode_tables").passed()).isEqualTo(1);
        assertThat(reports.get("tokenizer/unicode_tables").failures())
                .containsExactly(
                        "letter: U+0061 should not be one",
                        "number: U+0030 should not be one",
                        "space: U+0009 should not be one",
                        "NFC of U+341: expected 'x', found '\u0301'");
    }

    @Test
    void whatCannotBeRunIsSkippedByName() throws IOException {
        write("encode_prompts.jsonl", "{\"text\":\"Hello\",\"ids\":[12092]}");
        write("offsets.jsonl", "{}");
        write("encode_adversarial.jsonl", "{\"text\":\"Hello\",\"ids\":[12092]}");
        Path onlyPublished = Files.createDirectory(folder.resolve("tokenizers"));
        Path published = Files.createDirectory(onlyPublished.resolve("dolly-tokenizer"));
        Files.copy(TestTokenizers.published().resolve("tokenizer.json"), published.resolve("tokenizer.json"));

        Map<String, CheckReport> reports = run(onlyPublished);

        assertThat(reports.get("tokenizer/encode_prompts").passed()).isEqualTo(1);
        assertThat(reports.get("tokenizer/offsets").skips())
                .containsExactly("offsets.jsonl: this version does not know what it holds");
        assertThat(reports.get("tokenizer/plain form").skips())
                .hasSize(2)
                .allMatch(skip -> skip.endsWith("no folder " + onlyPublished.resolve("gpt-neox-20b")));
    }

    @Test
    void aLineThatLacksAFieldFailsByFileLineAndField() throws IOException {
        write("encode_one.jsonl", "{\"text\":\"Hello\"}", "{\"text\":\"Hello\",\"ids\":[12092]}");
        write("decode.jsonl", "{\"ids\":{},\"text\":\"\",\"text_skip_special\":\"\"}");
        write("stream.jsonl", "{\"ids\":[12092],\"skip_special\":false,\"text\":\"Hello\",\"shown_utf16\":[]}");
        write("unicode_tables.json", "{\"letter\":[],\"number\":[],\"nfc_single\":{}}");
        write("encode_fuzz.jsonl", "{\"ids\":[12092]}");

        Map<String, CheckReport> reports = run(TestTokenizers.folder());

        assertThat(reports.get("tokenizer/encode_one").passed()).isEqualTo(1);
        assertThat(reports.get("tokenizer/encode_one").failures())
                .containsExactly("line 1: " + folder.resolve("encode_one.jsonl") + ": line 1 lacks the field 'ids'");
        assertThat(reports.get("tokenizer/decode").failures())
                .containsExactly("line 1: " + folder.resolve("decode.jsonl")
                        + ": line 1: the field 'ids' should be a list of whole numbers but is {}");
        assertThat(reports.get("tokenizer/stream").failures()).hasSize(1);
        assertThat(reports.get("tokenizer/unicode_tables").failures())
                .anyMatch(failure -> failure.startsWith("space: ") && failure.endsWith("lacks the field 'space'"));
        assertThat(reports.get("tokenizer/plain form").failures())
                .containsExactly("encode_fuzz line 1: " + folder.resolve("encode_fuzz.jsonl")
                        + ": line 1 lacks the field 'text'");
    }

    @Test
    void aDamagedGoldensFileIsNamedWithItsLine() throws IOException {
        write("decode.jsonl", "{\"ids\":[],\"text\":\"\",\"text_skip_special\":\"\"}", "{\"ids\":");

        assertThatThrownBy(() -> run(TestTokenizers.folder()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("decode.jsonl: line 2 is not a JSON object");
    }

    private void write(String name, String... lines) throws IOException {
        Files.write(folder.resolve(name), List.of(lines));
    }

    private Map<String, CheckReport> run(Path tokenizers) {
        Map<String, CheckReport> reports = new LinkedHashMap<>();
        TokenizerCheck.run(folder, tokenizers).forEach(report -> reports.put(report.part(), report));
        return reports;
    }
}
