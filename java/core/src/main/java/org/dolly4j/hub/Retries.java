package org.dolly4j.hub;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/** Tries again what failed for the moment, each time after a longer wait, or the one that the server asks for. */
final class Retries {
    /** Retries in a row that bring nothing, after which it is given up. */
    static final int MOST = 5;

    /** A server that asks to wait longer is not waited for. */
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(5);

    /** Someone who waits so long wants to know what for. */
    private static final Duration NOTICED_WAIT = Duration.ofSeconds(2);

    private static final Logger LOG = LoggerFactory.getLogger(Retries.class);

    private final int most;
    private final Duration firstWait;
    private int failures;

    /**
     * @param most how many retries there are at most
     * @param firstWait before the first; doubled for each further one, and up to half of it taken off by chance, so
     *     that many clients do not come back at once
     */
    Retries(int most, Duration firstWait) {
        this.most = most;
        this.firstWait = firstWait;
    }

    /** Something to be tried. */
    @FunctionalInterface
    interface Attempt<T> {
        T run() throws TransferException, InterruptedException;
    }

    /** The first result that comes. */
    <T> T until(Attempt<T> attempt) throws TransferException, InterruptedException {
        while (true) {
            try {
                return attempt.run();
            } catch (TransferException e) {
                failed(e);
            }
        }
    }

    /**
     * Waits for the time of the next try.
     *
     * @throws TransferException the given one, if it has failed too often or the server asks for too long a wait
     */
    void failed(TransferException failure) throws TransferException, InterruptedException {
        failures++;
        Duration wait = failure.retryAfter().orElseGet(this::backOff);
        if (failures > most || failure.isLasting() || wait.compareTo(LONGEST_WAIT) > 0) {
            throw failure;
        }
        LOG.atLevel(wait.compareTo(NOTICED_WAIT) < 0 ? Level.INFO : Level.WARN)
                .log("{}; it is tried again in {} seconds.", failure.getMessage(), (wait.toMillis() + 999) / 1000);
        Thread.sleep(wait.toMillis());
    }

    /** Something came: what fails from now on is counted anew. */
    void progressed() {
        failures = 0;
    }

    private Duration backOff() {
        long millis = firstWait.multipliedBy(1L << (failures - 1)).toMillis();
        return Duration.ofMillis(millis - ThreadLocalRandom.current().nextLong(millis / 2 + 1));
    }
}
