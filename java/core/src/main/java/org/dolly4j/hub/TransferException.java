package org.dolly4j.hub;

import java.io.IOException;
import java.io.Serial;
import java.time.Duration;
import java.util.Optional;

/** The network failed, or a server did in a way that may pass: the same may work in a moment. */
final class TransferException extends IOException {
    @Serial
    private static final long serialVersionUID = 1L;

    private final transient Optional<Duration> retryAfter;

    TransferException(String message) {
        this(message, Optional.empty());
    }

    TransferException(String message, Throwable cause) {
        super(message, cause);
        retryAfter = Optional.empty();
    }

    /** @param retryAfter how long the server asks to wait */
    TransferException(String message, Optional<Duration> retryAfter) {
        super(message);
        this.retryAfter = retryAfter;
    }

    /** How long the server asks to wait before the next try. */
    Optional<Duration> retryAfter() {
        return retryAfter == null ? Optional.empty() : retryAfter;
    }
}
