package org.dolly4j.hub;

import java.io.IOException;
import java.io.Serial;
import java.time.Duration;
import java.util.Optional;

/** The network failed, or a server did in a way that may pass: the same may work later, mostly in a moment. */
final class TransferException extends IOException {
    @Serial
    private static final long serialVersionUID = 1L;

    private final transient Optional<Duration> retryAfter;
    private final boolean lasting;

    TransferException(String message) {
        this(message, Optional.empty());
    }

    TransferException(String message, Throwable cause) {
        this(message, cause, false);
    }

    /** @param lasting whether it is no use to try again soon */
    TransferException(String message, Throwable cause, boolean lasting) {
        super(message, cause);
        retryAfter = Optional.empty();
        this.lasting = lasting;
    }

    /** @param retryAfter how long the server asks to wait */
    TransferException(String message, Optional<Duration> retryAfter) {
        super(message);
        this.retryAfter = retryAfter;
        lasting = false;
    }

    /** Whether it is no use to try again soon. */
    boolean isLasting() {
        return lasting;
    }

    /** How long the server asks to wait before the next try. */
    Optional<Duration> retryAfter() {
        return retryAfter == null ? Optional.empty() : retryAfter;
    }
}
