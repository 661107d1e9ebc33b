package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;

class CandidatesTest {
    @Test
    void retainAtLeast_comparesInDoublePrecision() {
        Candidates candidates = loaded(1, Math.nextUp(1f), 0.5f);

        candidates.retainAtLeast(1 + 1e-12);

        assertThat(candidates.count()).isEqualTo(1);
        assertThat(candidates.id(0)).isEqualTo(1);
    }

    @Test
    void retainAtLeast_removesImpossibleTokensWhateverTheLimit() {
        Candidates candidates = loaded(Float.NEGATIVE_INFINITY, -Float.MAX_VALUE);

        candidates.retainAtLeast(Double.NEGATIVE_INFINITY);

        assertThat(candidates.count()).isEqualTo(1);
        assertThat(candidates.id(0)).isEqualTo(1);
    }

    @Test
    void draw_takesEachTokenForItsShareOfTheUnitInterval() {
        float logOf3 = (float) StrictMath.log(3);

        assertThat(loaded(0, logOf3).draw(0)).isZero();
        assertThat(loaded(0, logOf3).draw(0.2499)).isZero();
        assertThat(loaded(0, logOf3).draw(0.2501)).isEqualTo(1);
        assertThat(loaded(0, logOf3).draw(1 - 0x1p-53)).isEqualTo(1);
    }

    @Test
    void draw_neverTakesAnImpossibleToken() {
        float impossible = Float.NEGATIVE_INFINITY;

        assertThat(loaded(impossible, 0, impossible).draw(0)).isEqualTo(1);
        assertThat(loaded(impossible, 0, impossible).draw(1 - 0x1p-53)).isEqualTo(1);
    }

    private static Candidates loaded(float... logits) {
        Candidates candidates = new Candidates(logits.length);
        candidates.load(FloatBuffer.wrap(logits));
        return candidates;
    }
}
