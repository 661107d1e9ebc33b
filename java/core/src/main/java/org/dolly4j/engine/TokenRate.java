package org.dolly4j.engine;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * How many tokens came per second lately: a ring of half seconds with the tokens of each. One thread adds and any may
 * read, as with {@link LatencyRecorder}.
 */
final class TokenRate {
    private static final long SLOT_NANOS = 500_000_000;

    /** The last ten seconds: as many slots, of which the newest is not full. */
    private static final int WINDOW = 20;

    private final long beginning;
    private final AtomicLongArray tokens = new AtomicLongArray(WINDOW);

    /** The number of half seconds since the beginning that each slot of the ring is about. */
    private final AtomicLongArray halfSeconds = new AtomicLongArray(WINDOW);

    /** @param beginning {@link System#nanoTime} at which tokens may begin to come */
    TokenRate(long beginning) {
        this.beginning = beginning;
    }

    /** Counts a token that came at some {@link System#nanoTime}, not before those counted already. */
    void add(long now) {
        long halfSecond = halfSecond(now);
        int slot = (int) (halfSecond % WINDOW);
        long before = halfSeconds.getPlain(slot) == halfSecond ? tokens.getPlain(slot) : 0;
        halfSeconds.setOpaque(slot, halfSecond);
        tokens.setOpaque(slot, before + 1);
    }

    /**
     * Tokens per second of the ten seconds before some {@link System#nanoTime}, or since the beginning if that is
     * less.
     */
    double perSecond(long now) {
        long newest = halfSecond(now);
        long sum = 0;
        for (int i = 0; i < WINDOW; i++) {
            long age = newest - halfSeconds.getOpaque(i);
            sum += age >= 0 && age < WINDOW ? tokens.getOpaque(i) : 0;
        }
        long window = Math.max(0, newest - WINDOW + 1) * SLOT_NANOS;
        return sum == 0 ? 0 : sum * 1e9 / Math.max(1, now - beginning - window);
    }

    private long halfSecond(long now) {
        return Math.max(0, now - beginning) / SLOT_NANOS;
    }
}
