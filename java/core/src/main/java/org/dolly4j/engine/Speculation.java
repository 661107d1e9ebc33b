package org.dolly4j.engine;

/**
 * Decides how many guessed tokens of a sequence a step checks. A guess counts only if it is the token that is drawn
 * anyway, so this decides about time alone (speculative decoding, Leviathan et al. 2023).
 *
 * <p>Method: as many as make the step's rows that are of use grow by more than its time. How often a guess is right is
 * learnt by the length of the match it comes from, also of guesses that were not checked, as the next token shows whether
 * the first of them was right; a guess after a right one counts as one from a match longer by one. What rows cost is
 * measured ({@link StepTimes#ratio}). Where guesses are mostly wrong, or rows cost much, none are checked.
 */
final class Speculation {
    /** Weight of the newest guess in the share of right ones. */
    private static final double NEWEST = 0.05;

    /** Shares of right guesses to begin with, by match length: about those of quoting answers to the Dolly prompts. */
    private static final double[] FIRST_SHARES = {0, 0.2, 0.5, 0.5, 0.65, 0.7, 0.7, 0.8, 0.85};

    private final StepTimes times;
    private final double[] rightShares = FIRST_SHARES.clone();
    private double usefulRows;
    private long checked;
    private long right;

    /** @param times takes note of every step */
    Speculation(StepTimes times) {
        this.times = times;
    }

    /** Begins the decisions for a step that has some rows without guesses. */
    void begin(int rows) {
        usefulRows = rows;
    }

    /**
     * How many guesses of a sequence to add to the step.
     *
     * @param matchLength of the match that the guesses come from
     * @param most number of guesses
     * @param rows of the step so far
     */
    int guesses(int matchLength, int most, int rows) {
        int best = 0;
        double bestSpeed = 1;
        double bestGain = 0;
        double gain = 0;
        double share = 1;
        for (int count = 1; count <= most; count++) {
            share *= rightShares[Math.min(matchLength + count - 1, PromptLookup.LONGEST_MATCH)];
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

    /** Learns whether a guess was right, given that those before it were. */
    void learn(int matchLength, boolean isRight) {
        int length = Math.min(matchLength, PromptLookup.LONGEST_MATCH);
        rightShares[length] += NEWEST * ((isRight ? 1 : 0) - rightShares[length]);
    }

    /** Counts guesses that a step has checked. */
    void count(int guesses, int rightGuesses) {
        checked += guesses;
        right += rightGuesses;
    }

    /** Guesses that were checked. */
    long checkedGuesses() {
        return checked;
    }

    /** How many of these were right. */
    long rightGuesses() {
        return right;
    }
}
