package org.dolly4j.hub;

import java.io.Serial;
import java.nio.channels.ClosedByInterruptException;

/**
 * Nothing can be brought, for a reason other than that the hub refuses it: the cache cannot be written, its disk is
 * full, or something else answers in the hub's place. What was brought before may still be used. {@link Hub} alone
 * catches it, and makes it a {@link org.dolly4j.HubException} if there is nothing to be used.
 */
final class UnavailableException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1L;

    /** @param message what was expected, what was found, what to do */
    UnavailableException(String message) {
        super(message);
    }

    /** @param message what was expected, what was found, what to do */
    UnavailableException(String message, Throwable cause) {
        super(message, cause);
    }

    /** Whether a file was closed because the thread was interrupted, and nothing else is wrong. */
    boolean isInterruption() {
        return getCause() instanceof ClosedByInterruptException;
    }
}
