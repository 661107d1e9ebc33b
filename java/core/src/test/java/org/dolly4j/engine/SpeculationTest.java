package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class SpeculationTest {
    private static final int MOST = PromptLookup.MOST_GUESSES;

    private final StepTimes times = new StepTimes(256);
    private final Speculation speculation = new Speculation(times);

    /** Steps of every size up to 64 rows, whose time is some part for the step and some for each row. */
    private void measure(long step, long row) {
        for (int rows = 64; rows >= 1; rows--) {
            times.add(rows, step + row * rows);
        }
    }

    private int guesses(int matchLength, int rows) {
        speculation.begin(rows);
        return speculation.guesses(matchLength, MOST, rows);
    }

    @Test
    void rowsThatCostNothingMore_areAllUsed() {
        measure(1_000_000, 0);
        assertThat(guesses(1, 1)).isEqualTo(MOST);
    }

    @Test
    void rowsThatCostAsMuchAsSteps_areNotUsed() {
        measure(0, 1_000_000);
        for (int match = 1; match <= PromptLookup.LONGEST_MATCH; match++) {
            assertThat(guesses(match, 1)).isZero();
        }
    }

    @Test
    void rowsThatCostSomething_areUsedForLongMatchesAlone() {
        measure(800_000, 200_000);
        assertThat(guesses(1, 1)).isZero();
        assertThat(guesses(8, 1)).isGreaterThan(2);
    }

    @Test
    void sizesNeverSeen_areTried() {
        assertThat(guesses(8, 1)).as("before any step").isZero();
        times.add(1, 1_000_000);
        assertThat(guesses(8, 1)).isEqualTo(MOST);
    }

    @Test
    void sizeSeenAtABadMoment_isTriedAgain_butNotSoon() {
        measure(1_000_000, 0);
        for (int count = 1; count <= MOST; count++) {
            times.add(1 + count, 10_000_000);
            times.add(1 + count, 10_000_000);
        }
        int steps = 0;
        while (guesses(8, 1) == 0) {
            times.add(1, 1_000_000);
            steps++;
        }
        assertThat(steps).isBetween(2_000, 5_000);
    }

    @Test
    void guessesThatAreWrong_areGivenUp_andTakenUpAgainOnceTheyWouldHaveBeenRight() {
        measure(1_000_000, 50_000);
        assertThat(guesses(3, 1)).isPositive();
        for (int i = 0; i < 100; i++) {
            speculation.learn(3, false);
        }
        assertThat(guesses(3, 1)).isZero();
        for (int i = 0; i < 100; i++) {
            speculation.learn(3, true);
        }
        assertThat(guesses(3, 1)).isPositive();
    }

    @Test
    void besideManySequences_aGuessHasToPayForAllOfThem() {
        measure(1_000_000, 100_000);
        assertThat(guesses(4, 1)).isPositive();
        times.add(40, 5_000_000);
        assertThat(guesses(4, 40)).isZero();
    }

    /** Of the time of plain steps, with rows that cost this and guesses that are right so often. */
    private static double relativeTime(double rowCost, double rightShare) {
        StepTimes times = new StepTimes(256);
        Speculation speculation = new Speculation(times);
        Random random = new Random(5);
        double time = 0;
        int tokens = 0;
        while (tokens < 20_000) {
            speculation.begin(1);
            int guesses = speculation.guesses(2, MOST, 1);
            double step = 1e6 * (1 + rowCost * guesses);
            times.add(1 + guesses, (long) step);
            time += step;
            int right = 0;
            boolean isRight = true;
            while (isRight && right <= guesses) {
                isRight = random.nextDouble() < rightShare;
                speculation.learn(2 + right, isRight);
                right += isRight && right < guesses ? 1 : 0;
                isRight &= right < guesses;
            }
            tokens += 1 + right;
        }
        return time / (1e6 * tokens);
    }

    @Test
    void whateverRowsCostAndGuessesAreWorth_itIsHardlySlowerThanWithout() {
        for (double rowCost : new double[] {0, 0.02, 0.1, 0.3, 1, 3}) {
            for (double rightShare : new double[] {0, 0.05, 0.2, 0.5, 0.9}) {
                assertThat(relativeTime(rowCost, rightShare))
                        .as("rows that cost %s, %s right", rowCost, rightShare)
                        .isLessThan(1 / 0.97);
            }
        }
        assertThat(relativeTime(0.02, 0.9)).isLessThan(0.3);
    }
}
