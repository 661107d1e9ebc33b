package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class PreTokenizerTest {
    /** GPT-2's, with \s spelt out, as Java's own is ASCII. Letters and numbers below are old: all JDKs know them. */
    private static final Pattern GPT2 =
            Pattern.compile("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^S\\p{L}\\p{N}]+|S+(?![^S])|S+"
                    .replace("[^S", "[^\\s\\u0085\\u00a0\\u2028\\u3000")
                    .replace("S+", "[\\s\\u0085\\u00a0\\u2028\\u3000]+"));

    private static final String ALPHABET =
            "aaZst'''rvemld    \n\t\r19.,#\u00e9\u4e2d\u00a0\u2028\u3000\u0085\u00bd\u0301\uD800";

    @Test
    void words_areThoseOfThePattern() {
        Random random = new Random(2);
        for (int i = 0; i < 30_000; i++) {
            StringBuilder builder = new StringBuilder();
            for (int n = 1 + random.nextInt(12); n > 0; n--) {
                int pick = random.nextInt(ALPHABET.length() + 2);
                builder.append(
                        pick < ALPHABET.length()
                                ? String.valueOf(ALPHABET.charAt(pick))
                                : pick == ALPHABET.length() ? "\uD835\uDC00" : "\uD83D\uDE00"); // a letter, an emoji
            }
            String text = builder.toString();
            List<String> expected = new ArrayList<>();
            Matcher matcher = GPT2.matcher(text);
            while (matcher.find()) {
                expected.add(matcher.group());
            }
            assertThat(words(text)).as(text).isEqualTo(expected);
        }
    }

    @Test
    void text_endsWhereItIsSaidTo() {
        char[] text = "xx  's yy".toCharArray();

        assertThat(PreTokenizer.wordEnd(text, 2, 4)).isEqualTo(4); // white space at the end stays together
        assertThat(PreTokenizer.wordEnd(text, 2, 9)).isEqualTo(3); // before a word it leaves one for it
        assertThat(PreTokenizer.wordEnd(text, 4, 5)).isEqualTo(5); // no contraction across the end
        assertThat(PreTokenizer.wordEnd(text, 4, 6)).isEqualTo(6);
    }

    private static List<String> words(String text) {
        char[] chars = text.toCharArray();
        List<String> words = new ArrayList<>();
        for (int from = 0; from < chars.length; ) {
            int end = PreTokenizer.wordEnd(chars, from, chars.length);
            words.add(text.substring(from, end));
            from = end;
        }
        return words;
    }
}
