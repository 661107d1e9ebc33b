package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class ExponentialTest {
    @Test
    void exp_keepsItsErrorBounds() {
        int count = 640_001;
        double[] x = new double[count];
        double[] y = new double[count];
        for (int i = 0; i < count; i++) {
            x[i] = -i / 1e4;
        }

        Exponential.exp(x, y, count);

        double relative = 0;
        double absolute = 0;
        for (int i = 0; i < count; i++) {
            double exact = StrictMath.exp(x[i]);
            if (x[i] >= -20) {
                relative = Math.max(relative, Math.abs(y[i] - exact) / exact);
            } else {
                absolute = Math.max(absolute, Math.abs(y[i] - exact));
            }
        }
        assertThat(relative).isLessThan(1e-10);
        assertThat(absolute).isLessThan(1e-18);
    }

    @Test
    void exp_atTheEnds() {
        double[] x = {0, -63.9, -64, -1000, Double.NEGATIVE_INFINITY};
        double[] y = new double[x.length];

        Exponential.exp(x, y, x.length);

        assertThat(y[0]).isEqualTo(1, within(1e-15));
        assertThat(y[1]).isPositive();
        assertThat(y[2]).isZero();
        assertThat(y[3]).isZero();
        assertThat(y[4]).isZero();
        assertThat(x).containsExactly(0, -63.9, -64, -64, -64);
    }
}
