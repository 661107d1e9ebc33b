package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class StepTimesTest {
    private final StepTimes times = new StepTimes(256);

    @Test
    void beforeAnyStep_nothingIsExpectedToEnd() {
        assertThat(times.rowsWithin(1_000_000, 256)).isZero();
    }

    @Test
    void rowsThatEndInTime_areToldByTheStepsSeen() {
        times.add(1, 100);
        times.add(64, 640);
        assertThat(times.rowsWithin(99, 256)).isZero();
        assertThat(times.rowsWithin(400, 256)).isEqualTo(40);
        assertThat(times.rowsWithin(640, 256)).isEqualTo(64);
        assertThat(times.rowsWithin(1_000, 256))
                .as("as much per row as the largest seen")
                .isEqualTo(100);
        assertThat(times.rowsWithin(1_000_000, 256)).isEqualTo(256);
        assertThat(times.rowsWithin(1_000_000, 20)).isEqualTo(20);
    }

    @Test
    void largerStep_countsForSmallerOnesUntilTheyAreSeen() {
        times.add(64, 640);
        assertThat(times.rowsWithin(50, 256)).isEqualTo(5);
    }

    @Test
    void machineThatBecomesSlower_isNoticedWithinAFewSteps() {
        times.add(32, 320);
        for (int i = 0; i < 10; i++) {
            times.add(32, 3200);
        }
        assertThat(times.rowsWithin(2_000, 256)).isBetween(20, 22);
    }

    @Test
    void singleStepThatWasHeldUp_doesNotCount() {
        times.add(32, 320);
        times.add(32, 320);
        times.add(32, 320_000);
        assertThat(times.rowsWithin(320, 256)).isEqualTo(32);
        times.add(32, 320);
        assertThat(times.rowsWithin(320, 256)).isEqualTo(32);
    }

    @Test
    void sessionOfFewRows_hasTimesToo() {
        StepTimes few = new StepTimes(3);
        few.add(1, 100);
        few.add(3, 120);
        assertThat(few.rowsWithin(110, 3)).isEqualTo(1);
        assertThat(few.rowsWithin(130, 3)).isEqualTo(3);
        assertThat(few.ratio(1, 3)).isEqualTo(1.2);
    }

    private void addEnough(int rows, long nanos) {
        for (int i = 0; i < 3; i++) {
            times.add(rows, nanos);
        }
    }

    @Test
    void moreRows_costTheRatioOfTheirTimes_asFarAsBothWereSeenOftenEnough() {
        assertThat(times.ratio(1, 4)).isNaN();
        addEnough(1, 100);
        assertThat(times.ratio(1, 2)).as("to be tried").isEqualTo(1);
        assertThat(times.ratio(1, 4)).as("to be tried after that").isEqualTo(4);
        addEnough(2, 150);
        assertThat(times.ratio(1, 2)).isEqualTo(1.5);
        assertThat(times.ratio(1, 4)).as("no less than with a row fewer").isEqualTo(1.5);
        times.add(4, 3000);
        assertThat(times.ratio(1, 4)).as("the first may have been held up").isEqualTo(1.5);
        times.add(4, 300);
        times.add(4, 300);
        assertThat(times.ratio(1, 4)).isEqualTo(3);
    }

    @Test
    void sizeThatWasTooSlow_isTriedAgainMuchLater_andBelievedThen() {
        StepTimes times = new StepTimes(256);
        for (int i = 0; i < 5; i++) {
            times.add(64, 64_000);
            times.add(100, 1_000_000);
            times.add(200, 2_000_000);
        }
        assertThat(times.rowsWithin(300_000, 256)).isEqualTo(64);
        for (int i = 0; i < 1_001; i++) {
            times.add(64, 64_000);
        }
        assertThat(times.rowsWithin(300_000, 256)).isEqualTo(128);
        times.add(128, 128_000);
        assertThat(times.rowsWithin(300_000, 256)).isEqualTo(256);
        times.add(256, 1_000_000);
        assertThat(times.rowsWithin(300_000, 256)).isEqualTo(128);
    }

    @Test
    void leastTimeOfASizeNotSeen_isThatOfTheNextSmallerOne_howeverMoreRowsItHas() {
        StepTimes times = new StepTimes(256);
        assertThat(times.isEmpty()).isTrue();
        assertThat(times.leastNanos(1)).isZero();
        times.add(40, 400);
        assertThat(times.isEmpty()).isFalse();
        assertThat(times.leastNanos(1)).isZero();
        assertThat(times.leastNanos(40)).isEqualTo(400);
        assertThat(times.leastNanos(200)).isEqualTo(640); // of 33 to 64 rows, at 10 each
        times.add(1, 60);
        assertThat(times.leastNanos(1)).isEqualTo(60);
        assertThat(times.leastNanos(10)).isEqualTo(60);
        times.add(8, 64);
        assertThat(times.leastNanos(10)).isEqualTo(64);
        assertThat(times.leastNanos(20)).isEqualTo(64);
    }
}
