package org.dolly4j.engine;

import java.time.Duration;

/**
 * How an {@link Engine} treats requests.
 *
 * @param maxQueuedRequests most requests that wait for their first step; more are rejected
 * @param maxStep how long a step should take at most: prompts are read in pieces of that length, so that answers that
 *     are being written beside them go on, and a cancelled request ends
 * @param prefixCache whether prompts that start with the same tokens as earlier ones take what is cached of those
 * @param speculation whether steps verify drafts of the next tokens where that saves time
 */
public record EngineOptions(int maxQueuedRequests, Duration maxStep, boolean prefixCache, boolean speculation) {
    /** 1,024 requests, 200 ms, with prefix cache and speculation. */
    public static final EngineOptions DEFAULT = new EngineOptions(1024, Duration.ofMillis(200), true, true);

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException if one is out of its range
     */
    public EngineOptions {
        if (maxQueuedRequests < 1) {
            throw new IllegalArgumentException("maxQueuedRequests must be at least 1, not " + maxQueuedRequests + ".");
        }
        if (maxStep.isNegative() || maxStep.isZero()) {
            throw new IllegalArgumentException("maxStep must be longer than nothing, not " + maxStep + ".");
        }
    }
}
