package org.dolly4j.sampling;

/**
 * Philox4x32-10, a counter-based random number generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011): ten keyed rounds turn a 128-bit counter into 128 random bits. It has no state to advance, so a number
 * depends on its key and counter alone and not on how many were drawn before.
 *
 * <p>Holds the last output; not thread-safe.
 */
final class Philox {
    private static final int ROUNDS = 10;
    private static final long MULTIPLIER_0 = 0xD2511F53L;
    private static final long MULTIPLIER_1 = 0xCD9E8D57L;
    private static final int KEY_STEP_0 = 0x9E3779B9;
    private static final int KEY_STEP_1 = 0xBB67AE85;
    private static final long UNSIGNED_INT = 0xFFFFFFFFL;

    private int word0;
    private int word1;
    private int word2;
    private int word3;

    /**
     * A uniform number for a place in a text: key = seed, counter = position.
     *
     * @param seed all 64 bits count
     * @param position 0 or more
     * @return a multiple of 2^-53 in [0, 1)
     */
    double uniform(long seed, int position) {
        generate(position, 0, 0, 0, (int) seed, (int) (seed >>> 32));
        long high27 = (word0 & UNSIGNED_INT) >>> 5;
        long high26 = (word1 & UNSIGNED_INT) >>> 6;
        return ((high27 << 26) + high26) * 0x1p-53;
    }

    /** Turns counter and key, lowest words first, into the four words that {@link #words} returns. */
    void generate(int counter0, int counter1, int counter2, int counter3, int key0, int key1) {
        int c0 = counter0;
        int c1 = counter1;
        int c2 = counter2;
        int c3 = counter3;
        int k0 = key0;
        int k1 = key1;
        for (int round = 0; round < ROUNDS; round++) {
            long product0 = MULTIPLIER_0 * (c0 & UNSIGNED_INT);
            long product1 = MULTIPLIER_1 * (c2 & UNSIGNED_INT);
            c0 = (int) (product1 >>> 32) ^ c1 ^ k0;
            c1 = (int) product1;
            c2 = (int) (product0 >>> 32) ^ c3 ^ k1;
            c3 = (int) product0;
            k0 += KEY_STEP_0;
            k1 += KEY_STEP_1;
        }
        word0 = c0;
        word1 = c1;
        word2 = c2;
        word3 = c3;
    }

    /** Words of the last {@link #generate}, lowest first. */
    int[] words() {
        return new int[] {word0, word1, word2, word3};
    }
}
