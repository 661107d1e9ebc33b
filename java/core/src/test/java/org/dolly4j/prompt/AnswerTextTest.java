package org.dolly4j.prompt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dolly4j.prompt.AnswerText.Ending;
import org.dolly4j.prompt.AnswerText.Rules;
import org.junit.jupiter.api.Test;

class AnswerTextTest {
    private static List<String> shown(Rules rules, String... pieces) {
        AnswerText answer = new AnswerText(rules);
        List<String> shown = new ArrayList<>();
        for (String piece : pieces) {
            shown.add(answer.append(piece));
        }
        shown.add(answer.finish());
        return shown;
    }

    private static Rules stops(String... stops) {
        return new Rules(List.of(stops), false, false);
    }

    @Test
    void stopString_neverLeaksWhenItComesInPieces() {
        assertThat(shown(stops("STOP"), "go S", "T", "OP on")).containsExactly("go ", "", "", "");
    }

    @Test
    void startOfAStopString_isShownOnceItTurnsOutToBeNone() {
        assertThat(shown(stops("STOP"), "S", "T", "ART")).containsExactly("", "", "START", "");
        assertThat(shown(stops("STOP"), "go ST")).containsExactly("go ", "ST");
    }

    @Test
    void heldBackText_keepsAShorterStartInsideALongerOne() {
        assertThat(shown(stops("aab"), "aa", "a", "b")).containsExactly("", "a", "", "");
    }

    @Test
    void severalStopStringsAtOnce_endAtTheFirst() {
        AnswerText answer = new AnswerText(stops("three", "two"));
        assertThat(answer.append("one two three")).isEqualTo("one ");
        assertThat(answer.ending()).isEqualTo(Ending.STOP_STRING);
    }

    @Test
    void afterTheEnd_nothingIsShown() {
        AnswerText answer = new AnswerText(stops("."));
        assertThat(answer.append("Hi.")).isEqualTo("Hi");
        assertThat(answer.append(" More")).isEmpty();
        assertThat(answer.finish()).isEmpty();
    }

    @Test
    void speltEndKey_isHeldBackThroughItsSpaces() {
        Rules rules = new Rules(List.of(), true, false);
        assertThat(shown(rules, "yes\n", "##", "#\u3000", " ", "E", "n", "d"))
                .containsExactly("yes\n", "", "", "", "", "", "", "");
        assertThat(shown(rules, "C#", " is", " #E", "\n")).containsExactly("C", "# is", " ", "#E\n", "");
    }

    @Test
    void speltEndKey_isOnlyRecognisedByTheRuleForIt() {
        assertThat(shown(new Rules(List.of(), false, true), "yes ### End")).containsExactly("yes ### End", "");
    }

    @Test
    void trimming_dropsPythonsWhiteSpaceAtBothEndsOnly() {
        Rules rules = new Rules(List.of(), false, true);
        assertThat(shown(rules, "\n\u001c", " a", " ", "\u00a0b", "\u2028", "\u0085"))
                .containsExactly("", "a", "", " \u00a0b", "", "", "");
        assertThat(shown(rules, "\u200ba\ufeff")).containsExactly("\u200ba\ufeff", "");
    }

    @Test
    void trimming_alsoDropsTheSpaceBeforeAStopString() {
        assertThat(shown(new Rules(List.of("c"), false, true), "SO linked ", "conf"))
                .containsExactly("SO linked", "", "");
    }

    @Test
    void emptyStopString_isRefused() {
        assertThatThrownBy(() -> stops("a", ""))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("stop string");
    }

    /** However the text is cut into pieces, the joined pieces are what a search over the whole text gives. */
    @Test
    void joinedPieces_equalASearchOverTheWholeText() {
        Pattern key = Pattern.compile("#+[ \n]*End");
        String alphabet = "##  \nEndab";
        for (long seed = 0; seed < 20_000; seed++) {
            Random random = new Random(seed);
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(24); i > 0; i--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            boolean endsAtKey = random.nextBoolean();
            boolean trims = random.nextBoolean();
            String stop = random.nextBoolean() ? "ab" : "n d";
            String expected = text.toString();
            Matcher match = key.matcher(expected);
            int end = endsAtKey && match.find() ? match.start() : expected.length();
            int at = expected.indexOf(stop);
            expected = expected.substring(0, at >= 0 ? Math.min(at, end) : end);

            AnswerText answer = new AnswerText(new Rules(List.of(stop), endsAtKey, trims));
            StringBuilder joined = new StringBuilder();
            for (int i = 0; i < text.length(); i++) {
                joined.append(answer.append(text.substring(i, i + 1)));
            }
            joined.append(answer.finish());
            assertThat(joined.toString())
                    .as("seed %d, text '%s'", seed, text)
                    .isEqualTo(trims ? PythonWhitespace.strip(expected) : expected);
        }
    }
}
