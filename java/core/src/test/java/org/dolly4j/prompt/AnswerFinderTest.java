package org.dolly4j.prompt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class AnswerFinderTest {
    private static final int RESPONSE = 1000;
    private static final int END = 1001;
    private static final int EOS = 0;

    private static String decode(int[] ids) {
        return Arrays.stream(ids)
                .mapToObj(id -> id == RESPONSE
                        ? "### Response:"
                        : id == END ? "### End" : id == EOS ? "<eos>" : String.valueOf((char) id))
                .collect(Collectors.joining());
    }

    private static int[] ids(String text) {
        return text.chars().toArray();
    }

    private final AnswerFinder byTokens = new AnswerFinder(
            OptionalInt.of(RESPONSE), OptionalInt.of(END), OptionalInt.of(EOS), AnswerFinderTest::decode);
    private final AnswerFinder byPatterns =
            new AnswerFinder(OptionalInt.empty(), OptionalInt.empty(), OptionalInt.of(EOS), AnswerFinderTest::decode);

    @Test
    void byTokens_takesTheTextBetweenTheFirstKeys() {
        assertThat(byTokens.find(new int[] {'x', RESPONSE, '\n', 'a', ' ', RESPONSE, '\n', END, 'b', END}))
                .contains("a ### Response:");
        assertThat(byTokens.find(new int[] {RESPONSE, 'a'})).contains("a");
        assertThat(byTokens.find(new int[] {END, RESPONSE, 'a'})).contains("");
    }

    @Test
    void byTokens_doesNotFallBackToPatterns() {
        assertThat(byTokens.find(ids("### Response: a ### End"))).isEmpty();
        assertThat(byTokens.find(new int[] {RESPONSE, '#', ' ', END})).contains("#");
        assertThat(byTokens.find(new int[] {RESPONSE, END})).contains("");
    }

    @Test
    void byPatterns_takesTheTextBetweenTheFirstMatches() {
        assertThat(byPatterns.find(ids("# End ##\nResponse:\u00a0yes\n#\u2028End no ### End")))
                .contains("yes");
        assertThat(byPatterns.find(ids("### Response:### End"))).contains("");
        assertThat(byPatterns.find(ids("no key"))).isEmpty();
    }

    @Test
    void byPatterns_dropsAFinalEosOnly() {
        int[] ids = ids("#Response:a\0b\0");
        assertThat(byPatterns.find(ids)).contains("a<eos>b");
    }
}
