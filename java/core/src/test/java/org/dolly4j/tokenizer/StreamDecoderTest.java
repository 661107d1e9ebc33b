package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StreamDecoderTest {
    @TempDir
    Path folder;

    private static Tokenizer tokenizer;

    @BeforeAll
    static void load() {
        tokenizer = Tokenizer.load(TestTokenizers.published());
    }

    @Test
    void unfinishedEmoji_isHeldBack() {
        int[] ids = tokenizer.encode("hi \uD83E\uDD84!");
        StreamDecoder decoder = tokenizer.newStreamDecoder(false);
        List<String> pieces = new ArrayList<>();
        for (int id : ids) {
            pieces.add(decoder.append(id));
        }

        // " \xF0\x9F" is one token, so its space comes with the first half of the unicorn
        assertThat(pieces).containsExactly("hi", " ", "", "\uD83E\uDD84", "!");
        assertThat(decoder.finish()).isEmpty();
    }

    @Test
    void unfinishedCharacterAtTheEnd_becomesOneReplacementCharacter() {
        int[] ids = tokenizer.encode("\uD83E\uDD84");
        StreamDecoder decoder = tokenizer.newStreamDecoder(false);

        assertThat(ids).hasSize(3);
        assertThat(decoder.append(ids[0]) + decoder.append(ids[1])).isEmpty();
        assertThat(decoder.finish()).isEqualTo("\uFFFD");
        assertThat(decoder.finish()).isEmpty();
    }

    @Test
    void tokenAfterTheEnd_isRefused() {
        StreamDecoder decoder = tokenizer.newStreamDecoder(false);
        assertThat(decoder.finish()).isEmpty();

        assertThatThrownBy(() -> decoder.append(1))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("take a new one");
    }

    @Test
    void randomTokens_streamToWhatTheyDecodeTo() {
        Random random = new Random(5);
        for (int round = 0; round < 2_000; round++) {
            int[] ids = random.ints(1 + random.nextInt(12), 2, 350).toArray(); // mostly single bytes
            assertThat(stream(tokenizer, ids)).isEqualTo(tokenizer.decode(ids, false));
        }
    }

    @Test
    void invalidParts_areReplacedOneByOne() {
        // lead without continuation; overlong; surrogate; above U+10FFFF; stray continuation; cut off, then whole
        assertThat(decode(0xE4, 'a')).isEqualTo("\uFFFDa");
        assertThat(decode(0xC0, 0x80, 0xE0, 0x80, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
        assertThat(decode(0xED, 0xA0, 0x80)).isEqualTo("\uFFFD\uFFFD\uFFFD");
        assertThat(decode(0xF4, 0x90, 0x80, 0x80, 0xF5)).isEqualTo("\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
        assertThat(decode(0x80, 0xBF)).isEqualTo("\uFFFD\uFFFD");
        assertThat(decode(0xF0, 0x9F, 0x98, 0xE2, 0x82, 0xAC)).isEqualTo("\uFFFD\u20AC");
        assertThat(decode(0xF0, 0x9F, 0xF0, 0x9F, 0x98, 0x80)).isEqualTo("\uFFFD\uD83D\uDE00");
        assertThat(decode(0xE2, 0x82)).isEqualTo("\uFFFD");
    }

    @Test
    void cleaningUpSpaces_givesTheSameStreamedAndNeverTakesBack() throws IOException {
        Tokenizer cleaning = cleaningTokenizer();
        List<String> parts =
                List.of(" ", " ", ".", ",", "?", "!", "'", "n", "t", "m", "s", "ve", "re", " '", "x", " n't");
        Random random = new Random(6);
        for (int round = 0; round < 2_000; round++) {
            StringBuilder text = new StringBuilder();
            for (int n = 1 + random.nextInt(12); n > 0; n--) {
                text.append(parts.get(random.nextInt(parts.size())));
            }
            int[] ids = cleaning.encode(text.toString());
            String expected = cleaned(text.toString());
            assertThat(cleaning.decode(ids, false)).as(text.toString()).isEqualTo(expected);
            StreamDecoder decoder = cleaning.newStreamDecoder(false);
            StringBuilder shown = new StringBuilder();
            for (int id : ids) {
                shown.append(decoder.append(id));
                assertThat(expected).as(text.toString()).startsWith(shown.toString());
            }
            assertThat(shown.append(decoder.finish())).as(text.toString()).hasToString(expected);
        }
    }

    @Test
    void cleaningUpSpaces_showsAWordAsSoonAsItIsCertain() throws IOException {
        StreamDecoder decoder = cleaningTokenizer().newStreamDecoder(false);

        assertThat(show(decoder, "it")).isEqualTo("it");
        assertThat(show(decoder, " '")).isEmpty();
        assertThat(show(decoder, "s")).isEqualTo("'s");
        assertThat(show(decoder, " ")).isEmpty();
        assertThat(show(decoder, "x")).isEqualTo(" x");
    }

    private String show(StreamDecoder decoder, String text) {
        StringBuilder shown = new StringBuilder();
        for (int id : tokenizer.encode(text)) {
            shown.append(decoder.append(id));
        }
        return shown.toString();
    }

    private Tokenizer cleaningTokenizer() throws IOException {
        Files.copy(TestTokenizers.plain().resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
        Files.writeString(
                folder.resolve("tokenizer_config.json"),
                "{\"clean_up_tokenization_spaces\": true,"
                        + "\"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output\": true}");
        return Tokenizer.load(folder);
    }

    /** As transformers does it: PreTrainedTokenizerBase.clean_up_tokenization. */
    private static String cleaned(String text) {
        return text.replace(" .", ".")
                .replace(" ?", "?")
                .replace(" !", "!")
                .replace(" ,", ",")
                .replace(" ' ", "'")
                .replace(" n't", "n't")
                .replace(" 'm", "'m")
                .replace(" 's", "'s")
                .replace(" 've", "'ve")
                .replace(" 're", "'re");
    }

    private static String stream(Tokenizer tokenizer, int[] ids) {
        StreamDecoder decoder = tokenizer.newStreamDecoder(false);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(decoder.append(id));
        }
        return text.append(decoder.finish()).toString();
    }

    private static String decode(int... bytes) {
        byte[] text = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            text[i] = (byte) bytes[i];
        }
        StringBuilder whole = new StringBuilder();
        Utf8Decoder decoder = new Utf8Decoder();
        decoder.decode(text, 0, text.length, whole);
        decoder.finish(whole);
        return whole.toString();
    }
}
