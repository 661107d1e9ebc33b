package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class SpeculationTest {
    private static final int MOST = PromptLookup.MAX_DRAFTS;

    private final StepTimes times = new StepTimes(256);
    private final Speculation speculation = new Speculation(times);

    /** Steps of every size up to 64 rows, whose time is some part for the step and some for each row. */
    private void measure(long step, long row) {
        measure(64, step, row);
    }

    private void measure(int mostRows, long step, long row) {
        for (int rows = mostRows; rows >= 1; rows--) {
            for (int i = 0; i < 3; i++) {
                times.add(rows, step + row * rows);
            }
        }
    }

    private int drafts(int matchLength, int rows) {
        speculation.begin(rows);
        return speculation.drafts(matchLength, MOST, rows);
    }

    @Test
    void rowsThatCostNothingMore_areAllUsed() {
        measure(1_000_000, 0);
        assertThat(drafts(1, 1)).isEqualTo(MOST);
    }

    @Test
    void rowsThatCostAsMuchAsSteps_areNotUsed() {
        measure(0, 1_000_000);
        for (int match = 1; match <= PromptLookup.LONGEST_MATCH; match++) {
            assertThat(drafts(match, 1)).isZero();
        }
    }

    @Test
    void rowsThatCostSomething_areUsedForLongMatchesAlone() {
        measure(800_000, 200_000);
        assertThat(drafts(1, 1)).isZero();
        assertThat(drafts(8, 1)).isGreaterThan(2);
    }

    @Test
    void sizesNeverSeen_areTried() {
        assertThat(drafts(8, 1)).as("before any step").isZero();
        for (int rows = 1; rows <= MOST + 1; rows *= 2) {
            assertThat(drafts(8, 1)).as("with %d rows known", rows - 1).isEqualTo(rows - 1);
            for (int i = 0; i < 3; i++) {
                times.add(rows, 1_000_000);
            }
        }
    }

    @Test
    void sizeSeenAtABadMoment_isTriedAgain_butNotSoon() {
        measure(MOST + 1, 1_000_000, 0);
        for (int count = 1; count <= MOST; count++) {
            for (int i = 0; i < 3; i++) {
                times.add(1 + count, 10_000_000);
            }
        }
        int steps = 0;
        while (drafts(8, 1) == 0) {
            times.add(1, 1_000_000);
            steps++;
        }
        assertThat(steps).isBetween(2_000, 5_000);
    }

    @Test
    void draftsThatAreRejected_areGivenUp_andTakenUpAgainOnceTheyWouldBeAccepted() {
        measure(1_000_000, 50_000);
        assertThat(drafts(3, 1)).isPositive();
        for (int i = 0; i < 100; i++) {
            speculation.learn(3, false);
        }
        assertThat(drafts(3, 1)).isZero();
        for (int i = 0; i < 100; i++) {
            speculation.learn(3, true);
        }
        assertThat(drafts(3, 1)).isPositive();
    }

    @Test
    void besideManySequences_aDraftHasToPayForAllOfThem() {
        measure(1_000_000, 100_000);
        assertThat(drafts(4, 1)).isPositive();
        times.add(40, 5_000_000);
        assertThat(drafts(4, 40)).isZero();
    }

    /** Of the time of plain steps, with rows that cost this and drafts that are accepted so often. */
    private static double relativeTime(double rowCost, double acceptanceRate, int tokensInAll) {
        StepTimes times = new StepTimes(256);
        Speculation speculation = new Speculation(times);
        Random random = new Random(5);
        double time = 0;
        int tokens = 0;
        while (tokens < tokensInAll) {
            speculation.begin(1);
            int drafts = speculation.drafts(2, MOST, 1);
            double step = 1e6 * (1 + rowCost * drafts);
            times.add(1 + drafts, (long) step);
            time += step;
            int accepted = 0;
            boolean isAccepted = true;
            while (isAccepted && accepted <= drafts) {
                isAccepted = random.nextDouble() < acceptanceRate;
                speculation.learn(2 + accepted, isAccepted);
                accepted += isAccepted && accepted < drafts ? 1 : 0;
                isAccepted &= accepted < drafts;
            }
            tokens += 1 + accepted;
        }
        return time / (1e6 * tokens);
    }

    @Test
    void whateverRowsCostAndDraftsAreWorth_itIsHardlySlowerThanWithout() {
        for (double rowCost : new double[] {0, 0.02, 0.1, 0.3, 1, 3}) {
            for (double acceptanceRate : new double[] {0, 0.05, 0.2, 0.5, 0.9}) {
                for (int tokens : new int[] {2_000, 20_000}) {
                    assertThat(relativeTime(rowCost, acceptanceRate, tokens))
                            .as("%s tokens, rows that cost %s, %s accepted", tokens, rowCost, acceptanceRate)
                            .isLessThan(1 / 0.97);
                }
            }
        }
        assertThat(relativeTime(0.02, 0.9, 20_000)).isLessThan(0.3);
    }
}
