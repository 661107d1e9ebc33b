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
    void bestId_isTheLowestOfThoseThatTie() {
        Candidates candidates = loaded(0, 2, 1, 2);

        assertThat(candidates.bestId()).isEqualTo(1);
        assertThat(candidates.max()).isEqualTo(2);
    }

    @Test
    void max_isNaNWhereverTheNaNStands() {
        assertThat(loaded(Float.NaN, 1, 2).max()).isNaN();
        assertThat(loaded(1, Float.NaN, 2).max()).isNaN();
        assertThat(loaded(1, 2, Float.NaN).max()).isNaN();
    }

    @Test
    void max_isThatOfTheOthers_whenTypicalSamplingRemovesTheBest() {
        float[] logits = new float[100];
        logits[7] = 1;
        Candidates candidates = loaded(logits);
        assertThat(candidates.max()).isEqualTo(1);

        candidates.retainTypical(0.5);

        assertThat(candidates.count()).isEqualTo(99);
        assertThat(candidates.max()).isZero();
    }

    @Test
    void max_followsASubtraction() {
        Candidates candidates = loaded(1, 4);
        assertThat(candidates.max()).isEqualTo(4);

        candidates.subtract(3);

        assertThat(candidates.max()).isEqualTo(1);
    }

    @Test
    void load_bringsBackTheWholeVocabulary() {
        Candidates candidates = loaded(1, 4, 2);
        candidates.retainAtLeast(3);

        candidates.load(FloatBuffer.wrap(new float[] {5, 0, 6}));

        assertThat(candidates.count()).isEqualTo(3);
        assertThat(candidates.bestId()).isEqualTo(2);
        assertThat(candidates.score(0)).isEqualTo(5);
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

    @Test
    void draw_agreesWithOneRunningSum_acrossBlocks() {
        int count = 3 * Exponential.BLOCK + 5;
        float[] logits = new float[count];
        double[] sums = new double[count];
        double sum = 0;
        for (int i = 0; i < count; i++) {
            logits[i] = i % 7 == 3 ? Float.NEGATIVE_INFINITY : (float) StrictMath.sin(i);
            sum += StrictMath.exp(logits[i]);
            sums[i] = sum;
        }
        Candidates candidates = loaded(logits);

        for (double uniform = 0; uniform < 1; uniform += 1 / 997.0) {
            int expected = 0;
            while (sums[expected] <= uniform * sum) {
                expected++;
            }
            assertThat(candidates.draw(uniform)).as("uniform = %s", uniform).isEqualTo(expected);
        }
        assertThat(candidates.draw(1 - 0x1p-53)).isEqualTo(count - 1);
    }

    private static Candidates loaded(float... logits) {
        Candidates candidates = new Candidates(logits.length);
        candidates.load(FloatBuffer.wrap(logits));
        return candidates;
    }
}
