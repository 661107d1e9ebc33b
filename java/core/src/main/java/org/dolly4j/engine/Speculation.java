package org.dolly4j.engine;

/**
 * Decides how many draft tokens of a sequence a step verifies. A draft token is accepted only if it is the token that
 * is drawn anyway, so this decides about time alone (speculative decoding, Leviathan et al. 2023).
 *
 * <p>Method: as many as make the tokens expected of the step grow by more than its time. How often drafts are accepted
 * is learnt by the length of the match that they come from, also of those not verified, as the next token shows whether
 * the first one would have been; a draft after an accepted one counts as one from a match longer by one. What rows cost
 * is measured ({@link StepTimes#ratio}). Where drafts are mostly wrong, or rows cost much, none are verified.
 */
final class Speculation {
    /** Weight of the newest draft in an acceptance rate. */
    private static final double NEWEST = 0.05;

    /** Acceptance rates to begin with, by match length: about those of answers that quote, to the Dolly prompts. */
    private static final double[] FIRST_RATES = {0, 0.2, 0.5, 0.5, 0.65, 0.7, 0.7, 0.8, 0.85};

    /** How many times as fast drafts have to be expected to make it: times and rates are known with some error. */
    private static final double LEAST_SPEED = 1.05;

    private final StepTimes times;
    private final double[] acceptanceRates = FIRST_RATES.clone();
    private double usefulRows;

    /** @param times takes note of every step */
    Speculation(StepTimes times) {
        this.times = times;
    }

    /** Begins the decisions for a step that has some rows without drafts. */
    void begin(int rows) {
        usefulRows = rows;
    }

    /**
     * How many drafts of a sequence to add to the step.
     *
     * @param matchLength of the match that the drafts come from
     * @param most number of drafts
     * @param rows of the step so far
     */
    int drafts(int matchLength, int most, int rows) {
        int best = 0;
        double bestSpeed = LEAST_SPEED;
        double bestGain = 0;
        double gain = 0;
        double share = 1;
        for (int count = 1; count <= most; count++) {
            share *= acceptanceRates[Math.min(matchLength + count - 1, PromptLookup.LONGEST_MATCH)];
            gain += share;
            double speed = (usefulRows + gain) / usefulRows / times.ratio(rows, rows + count);
            if (speed > bestSpeed) {
                best = count;
                bestSpeed = speed;
                bestGain = gain;
            }
        }
        usefulRows += bestGain;
        return best;
    }

    /** Learns whether a draft is the token drawn, given that those before it were. */
    void learn(int matchLength, boolean isAccepted) {
        int length = Math.min(matchLength, PromptLookup.LONGEST_MATCH);
        acceptanceRates[length] += NEWEST * ((isAccepted ? 1 : 0) - acceptanceRates[length]);
    }
}
