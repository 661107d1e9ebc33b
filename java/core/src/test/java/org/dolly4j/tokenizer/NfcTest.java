package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.Test;

class NfcTest {
    @Test
    void normalText_isNotCopied() {
        for (String text : List.of(
                "",
                "plain",
                "caf\u00e9",
                "\u0e01\u0e35\u0e48",
                "\u0915\u094d\u0937",
                "\ud55c\uae00",
                "a\u0334\u0316")) {
            char[] chars = text.toCharArray();
            assertThat(Nfc.normalize(chars, 0, chars.length)).as(text).isNull();
        }
    }

    @Test
    void onlyTheGivenRange_isNormalized() {
        char[] chars = "e\u0301 e\u0301 e\u0301".toCharArray();

        assertThat(Nfc.normalize(chars, 3, 5)).containsExactly('\u00e9');
        assertThat(Nfc.normalize(chars, 2, 4)).isNull();
    }

    @Test
    void marksNewerThanUnicode9_areNotReordered() {
        assertThat(UnicodeData.nfc("a\u0301\u0334")).isEqualTo("\u00e1\u0334");
        assertThat(UnicodeData.nfc("a\u0d3b\u0334\u0301")).isEqualTo("a\u0d3b\u0334\u0301"); // ccc 9 since Unicode 10
        assertThat(UnicodeData.nfc("\ud806\udd35\ud806\udd30")).isEqualTo("\ud806\udd35\ud806\udd30"); // joins since 13
    }

    /** What both know alike: random strings of what decomposes, joins or is reordered, known since Unicode 9. */
    @Test
    void charactersKnownToUnicode9_areNormalizedAsByTheJdk() throws IOException {
        String tables = Files.readString(TestTokenizers.resource("/goldens/tokenizer/unicode_tables.json"));
        JsonObject json = JsonParser.parseString(tables).getAsJsonObject();
        Set<Integer> newer = new HashSet<>();
        for (JsonElement codePoint : json.getAsJsonArray("nfc_differs_from_unicode_14")) {
            newer.add(codePoint.getAsInt());
        }
        List<Integer> pool = new ArrayList<>();
        for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
            boolean hangul = c >= Nfc.HANGUL_S && c <= 0xD7A3;
            boolean listed = !UnicodeData.isInert(c) || UnicodeData.decompositionIndex(c) >= 0;
            if ((listed && !newer.contains(c)) || (hangul && c % 50 == 0) || (c >= 0x1100 && c < 0x1200)) {
                pool.add(c);
            }
        }
        Random random = new Random(9);
        for (int i = 0; i < 30_000; i++) {
            StringBuilder text = new StringBuilder();
            for (int n = 1 + random.nextInt(8); n > 0; n--) {
                int letter = random.nextInt(3) == 0 ? "aeE\u00e9o ".charAt(random.nextInt(6)) : 0;
                text.appendCodePoint(letter != 0 ? letter : pool.get(random.nextInt(pool.size())));
            }
            assertThat(UnicodeData.nfc(text.toString())).isEqualTo(Normalizer.normalize(text, Normalizer.Form.NFC));
        }
    }
}
