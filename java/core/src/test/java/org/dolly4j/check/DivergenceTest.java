package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class DivergenceTest {
    private static final float[] P = logarithms(0.5, 0.25, 0.25);
    private static final float[] Q = logarithms(0.25, 0.5, 0.25);

    /** By hand: 0.5 ln 2 + 0.25 ln 0.5 + 0.25 ln 1. */
    private static final double OF_Q = 0.25 * Math.log(2);

    private final Divergence divergence = new Divergence();

    private static float[] logarithms(double... probabilities) {
        float[] logits = new float[probabilities.length];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.log(probabilities[i]);
        }
        return logits;
    }

    private static float[] rows(float[] first, float[] second) {
        float[] rows = new float[first.length + second.length];
        System.arraycopy(first, 0, rows, 0, first.length);
        System.arraycopy(second, 0, rows, first.length, second.length);
        return rows;
    }

    @Test
    void rows_areWeighedAlike_andTheLargestIsKept() {
        divergence.add(rows(P, Q), rows(Q, Q), 3);
        divergence.add(P, P, 3);

        assertThat(divergence.rows()).isEqualTo(3);
        assertThat(divergence.mean()).isCloseTo(OF_Q / 3, within(1e-7));
        assertThat(divergence.largest()).isCloseTo(OF_Q, within(1e-7));
        assertThat(divergence.sameBest()).isEqualTo(2);
    }

    @Test
    void logitsThatAreAllLarger_areTheSameDistribution() {
        float[] larger = P.clone();
        for (int i = 0; i < larger.length; i++) {
            larger[i] += 1000;
        }

        divergence.add(P, larger, 3);

        assertThat(divergence.mean()).isCloseTo(0, within(1e-4));
        assertThat(divergence.sameBest()).isEqualTo(1);
    }

    @Test
    void logitThatIsNoNumber_isNotLostInTheMean() {
        divergence.add(rows(P, P), rows(P, new float[] {0, Float.NaN, 0}), 3);
        divergence.add(P, P, 3);

        assertThat(divergence.mean()).isNaN();
        assertThat(divergence.largest()).isNaN();
    }
}
