package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ExponentialTest {
    private final Exponential exponential = new Exponential();

    @Test
    void expOfNegated_keepsItsErrorBound() {
        double[] x = new double[Exponential.BLOCK];
        double[] y = new double[Exponential.BLOCK];
        double worst = 0;
        int blocks = 1000;
        double step = (Exponential.GREATEST - 0.04) / (blocks * Exponential.BLOCK);
        for (int block = 0; block < blocks; block++) {
            for (int i = 0; i < x.length; i++) {
                x[i] = (block * x.length + i) * step;
            }

            exponential.expOfNegated(x, y, x.length);

            for (int i = 0; i < x.length; i++) {
                double exact = StrictMath.exp(-x[i]);
                worst = Math.max(worst, Math.abs(y[i] - exact) / exact);
            }
        }
        assertThat(worst).isLessThan(2e-12);
    }

    @Test
    void expOfNegated_atTheEnds() {
        double[] x = {0, 63.95, 64, 7};
        double[] y = {-1, -1, -1, -1};

        exponential.expOfNegated(x, y, 3);

        assertThat(y[0]).isEqualTo(1);
        assertThat(y[1]).isPositive();
        assertThat(y[2]).isZero();
        assertThat(y[3]).as("beyond the count").isEqualTo(-1);
        assertThat(x).containsExactly(0, 63.95, 64, 7);
    }
}
