package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class TokenRateTest {
    private static final long SECOND = 1_000_000_000;

    /** An arbitrary beginning, since {@link System#nanoTime} may even be below 0. */
    private static final long BEGINNING = -3 * SECOND;

    private static final Offset<Double> SLIGHTLY = within(1e-6);

    private final TokenRate rate = new TokenRate(BEGINNING);

    private void tokens(int count, double fromSecond, double toSecond) {
        for (int i = 0; i < count; i++) {
            rate.add(BEGINNING + (long) ((fromSecond + (toSecond - fromSecond) * i / count) * SECOND));
        }
    }

    private double perSecondAt(double second) {
        return rate.perSecond(BEGINNING + (long) (second * SECOND));
    }

    @Test
    void withoutATokenYet_itIsZero() {
        assertThat(perSecondAt(0)).isZero();
        assertThat(perSecondAt(100)).isZero();
    }

    @Test
    void inTheFirstSeconds_itIsTheMeanSinceTheBeginning() {
        tokens(30, 0, 2);
        assertThat(perSecondAt(2)).isEqualTo(15, SLIGHTLY);
        assertThat(perSecondAt(4)).isEqualTo(7.5, SLIGHTLY);
    }

    @Test
    void later_onlyTheLastTenSecondsCount() {
        tokens(1000, 0, 10);
        tokens(200, 10, 20);
        assertThat(perSecondAt(19.999_999_999)).isEqualTo(20, SLIGHTLY);
    }

    @Test
    void afterTenIdleSeconds_itIsZeroAgain() {
        tokens(1000, 0, 10);
        assertThat(perSecondAt(15)).isPositive();
        assertThat(perSecondAt(20)).isZero();
        assertThat(perSecondAt(1_000_000)).isZero();
    }

    @Test
    void afterALongPause_olderTokensDoNotComeBack() {
        tokens(500, 0, 5);
        tokens(10, 1000, 1001);
        assertThat(perSecondAt(1009.5)).isEqualTo(10 / 9.5, SLIGHTLY);
    }
}
