package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.dolly4j.engine.PromptLookup.Match;
import org.junit.jupiter.api.Test;

class PromptLookupTest {
    private static Match find(int... tokens) {
        return PromptLookup.find(tokens, tokens.length);
    }

    @Test
    void newToken_hasNoMatch() {
        assertThat(find(1)).isEqualTo(Match.NONE);
        assertThat(find(1, 2, 3, 4)).isEqualTo(Match.NONE);
    }

    @Test
    void ofSeveralPlaces_theOneWithTheLongestMatchCounts_andOfEquallyLongOnesTheLast() {
        assertThat(find(1, 2, 3, 9, 2, 3, 8, 3, 7, 1, 2, 3)).isEqualTo(new Match(3, 3));
        assertThat(find(5, 3, 9, 6, 3, 8, 7, 3)).isEqualTo(new Match(5, 1));
    }

    @Test
    void textThatRepeatsItself_isDraftToGoOn() {
        assertThat(find(1, 2, 1, 2, 1, 2)).isEqualTo(new Match(4, 4));
        assertThat(find(7, 7)).isEqualTo(new Match(1, 1));
    }

    @Test
    void matchesLongerThanTheLongest_areNotToldApart() {
        int[] tokens = new int[100];
        assertThat(find(tokens)).isEqualTo(new Match(99, PromptLookup.LONGEST_MATCH));
    }

    @Test
    void onlyTokensThatCount_areLookedAt() {
        assertThat(PromptLookup.find(new int[] {1, 2, 3, 2, 3}, 3)).isEqualTo(Match.NONE);
    }

    /** The definition, place by place. */
    private static Match plain(int[] tokens) {
        Match best = Match.NONE;
        for (int start = 1; start < tokens.length; start++) {
            int length = 0;
            while (length < Math.min(start, PromptLookup.LONGEST_MATCH)
                    && tokens[start - 1 - length] == tokens[tokens.length - 1 - length]) {
                length++;
            }
            if (length > 0 && length >= best.length()) {
                best = new Match(start, length);
            }
        }
        return best;
    }

    @Test
    void anyText_givesWhatTheDefinitionSays() {
        Random random = new Random(3);
        for (int i = 0; i < 20_000; i++) {
            int[] tokens = random.ints(1 + random.nextInt(40), 0, 1 + random.nextInt(5))
                    .toArray();
            assertThat(find(tokens)).isEqualTo(plain(tokens));
        }
    }
}
