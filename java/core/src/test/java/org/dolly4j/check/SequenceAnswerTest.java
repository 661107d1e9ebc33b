package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.dolly4j.TestTokenizers;
import org.dolly4j.tokenizer.Tokenizer;
import org.junit.jupiter.api.Test;

class SequenceAnswerTest {
    private static final Tokenizer PUBLISHED = Tokenizer.load(TestTokenizers.published());
    private static final Tokenizer PLAIN = Tokenizer.load(TestTokenizers.plain());

    @Test
    void keysThatAreTokens_encloseTheAnswer() {
        assertThat(SequenceAnswer.find(PUBLISHED, PUBLISHED.encode("x### Response:\na ### Response:\n### Endb### End")))
                .contains("a ### Response:");
        assertThat(SequenceAnswer.find(PUBLISHED, PUBLISHED.encode("### Response:a")))
                .contains("a");
        assertThat(SequenceAnswer.find(PUBLISHED, PUBLISHED.encode("### End### Response:a")))
                .contains("");
    }

    @Test
    void keysThatAreTokens_areNotLookedForInTheText() {
        assertThat(SequenceAnswer.find(PUBLISHED, PUBLISHED.encodeAsText("### Response: a ### End")))
                .isEmpty();
        int[] spelt = PUBLISHED.encodeAsText(" a # End");
        int[] ids = IntStream.concat(IntStream.of(PUBLISHED.encode("### Response:")), IntStream.of(spelt))
                .toArray();
        assertThat(SequenceAnswer.find(PUBLISHED, ids)).contains("a # End");
    }

    @Test
    void keysThatAreNoTokens_areTheFirstMatchesInTheText() {
        assertThat(SequenceAnswer.find(PLAIN, PLAIN.encode("# End ##\nResponse:\u00a0yes\n#\u2028End no ### End")))
                .contains("yes");
        assertThat(SequenceAnswer.find(PLAIN, PLAIN.encode("### Response:### End")))
                .contains("");
        assertThat(SequenceAnswer.find(PLAIN, PLAIN.encode("no key"))).isEmpty();
    }
}
