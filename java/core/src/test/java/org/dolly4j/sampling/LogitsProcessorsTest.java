package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the goldens do not cover: edge cases of Hugging Face's processors. Token 4 of five is the end token. */
class LogitsProcessorsTest {
    private static final int[] EOS = {4};
    private static final float[] LOGITS = {2, -1, 0, 0.5f, 3};

    @Test
    void historyOutsideTheVocabulary_isIgnored() {
        SamplingOptions options = SamplingOptions.builder()
                .repetitionPenalty(2)
                .noRepeatNgramSize(1)
                .build();

        assertThat(kept(options, new int[] {99, 1, -1, 5}, 1)).containsExactly(0, 2, 3, 4);
    }

    @Test
    void repetitionPenalty_countsATokenOnce_promptAndAnswerAlike() {
        SamplingOptions options = SamplingOptions.builder().repetitionPenalty(2).build();

        assertThat(scores(options, new int[] {0, 1, 0, 2, 4, 4}, 3)).containsExactly(1, -2, 0, 0.5f, 1.5f);
        assertThat(scores(options, new int[] {3}, 1)).containsExactly(2, -1, 0, 0.25f, 3);
    }

    @Test
    void repetitionPenalty_actsAtEveryPosition() {
        SamplingOptions options = SamplingOptions.builder().repetitionPenalty(2).build();
        Sampler sampler = new Sampler(options, 200, EOS);
        FloatBuffer logits = FloatBuffer.allocate(200).put(150, 1);

        for (int length = 1; length <= 3; length++) {
            assertThat(sampler.distribution(logits, new int[] {150, 0, 150}, length, 1)
                            .scores()[150])
                    .isEqualTo(0.5f);
        }
    }

    @Test
    void noRepeatNgram_bansWhatFollowedTheSamePrefix() {
        SamplingOptions options = SamplingOptions.builder().noRepeatNgramSize(3).build();

        assertThat(kept(options, new int[] {0, 1, 2, 0, 1, 3, 0, 1}, 2)).containsExactly(0, 1, 4);
        assertThat(kept(options, new int[] {0, 0, 0}, 1)).containsExactly(1, 2, 3, 4);
        assertThat(kept(options, new int[] {0, 0}, 1)).containsExactly(0, 1, 2, 3, 4);
    }

    @Test
    void badWords_aSingleEndTokenHasNoEffect() {
        SamplingOptions options = SamplingOptions.builder()
                .badWordsIds(List.of(List.of(4), List.of(2), List.of(4, 1)))
                .build();

        assertThat(kept(options, new int[] {0}, 1)).containsExactly(0, 1, 3, 4);
        assertThat(kept(options, new int[] {0, 4}, 1)).containsExactly(0, 3, 4);
    }

    @Test
    void badWords_longerThanTheHistory_waitForTheirPrefix() {
        SamplingOptions options =
                SamplingOptions.builder().badWordsIds(List.of(List.of(0, 1, 2))).build();

        assertThat(kept(options, new int[] {1}, 1)).hasSize(5);
        assertThat(kept(options, new int[] {0, 1}, 1)).containsExactly(0, 1, 3, 4);
        assertThat(kept(options, new int[] {0, 1, 3}, 1)).hasSize(5);
    }

    @Test
    void badWords_outsideTheVocabulary_areRefused() {
        SamplingOptions options =
                SamplingOptions.builder().badWordsIds(List.of(List.of(1, 5))).build();

        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Sampler(options, LOGITS.length, EOS))
                .withMessageContaining("token id 5")
                .withMessageContaining("5 tokens")
                .withMessageContaining("[1, 5]");
    }

    @Test
    void biases_outsideTheVocabulary_areRefused() {
        SamplingOptions options = SamplingOptions.builder()
                .sequenceBias(Map.of(List.of(5, 1), 2.0))
                .build();

        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Sampler(options, LOGITS.length, EOS))
                .withMessageContaining("sequenceBias holds the token id 5")
                .withMessageContaining("5 tokens");
    }

    @Test
    void minLength_countsThePrompt_minNewTokensDoesNot() {
        SamplingOptions minLength = SamplingOptions.builder().minLength(3).build();
        SamplingOptions minNewTokens = SamplingOptions.builder().minNewTokens(2).build();

        assertThat(kept(minLength, new int[] {0, 0}, 2)).doesNotContain(4);
        assertThat(kept(minLength, new int[] {0, 0, 0}, 2)).contains(4);
        assertThat(kept(minNewTokens, new int[] {0, 0, 0}, 2)).doesNotContain(4);
        assertThat(kept(minNewTokens, new int[] {0, 0, 0, 0}, 2)).contains(4);
    }

    @Test
    void minNewTokens_takesThePlaceOfMinLength() {
        SamplingOptions options =
                SamplingOptions.builder().minLength(30).minNewTokens(1).build();

        assertThat(kept(options, new int[] {0}, 1)).doesNotContain(4);
        assertThat(kept(options, new int[] {0, 0}, 1)).contains(4);
    }

    @Test
    void beginSuppressTokens_actOnTheFirstTokenOnly() {
        SamplingOptions options =
                SamplingOptions.builder().beginSuppressTokens(List.of(0, 99)).build();

        assertThat(kept(options, new int[] {1, 1}, 2)).containsExactly(1, 2, 3, 4);
        assertThat(kept(options, new int[] {1, 1}, 1)).containsExactly(0, 1, 2, 3, 4);
    }

    @Test
    void suppressTokens_actEverywhere() {
        SamplingOptions options =
                SamplingOptions.builder().suppressTokens(List.of(0, 99)).build();

        assertThat(kept(options, new int[] {1, 1}, 1)).containsExactly(1, 2, 3, 4);
    }

    private static int[] kept(SamplingOptions options, int[] history, int promptLength) {
        return distribution(options, history, promptLength).ids();
    }

    private static float[] scores(SamplingOptions options, int[] history, int promptLength) {
        return distribution(options, history, promptLength).scores();
    }

    private static TokenDistribution distribution(SamplingOptions options, int[] history, int promptLength) {
        return new Sampler(options, LOGITS.length, EOS)
                .distribution(FloatBuffer.wrap(LOGITS), history, history.length, promptLength);
    }
}
