package org.dolly4j.engine;

import java.time.Duration;

/**
 * Lets the first of many equal warnings through, then one per interval, and counts the others. Safe from any thread.
 */
final class WarningLimit {
    private final long intervalNanos;
    private boolean hasPassed;
    private long lastPassed;
    private long held;

    WarningLimit(Duration interval) {
        intervalNanos = interval.toNanos();
    }

    /**
     * There is something to warn of.
     *
     * @param now {@link System#nanoTime}
     * @return how often there was since the last warning that passed, this time included; 0 if this one must not pass
     */
    synchronized long count(long now) {
        held++;
        if (hasPassed && now - lastPassed < intervalNanos) {
            return 0;
        }
        hasPassed = true;
        lastPassed = now;
        long count = held;
        held = 0;
        return count;
    }
}
