package org.dolly4j.hub;

import java.io.Serial;

/** A server did not answer with the range of bytes that was asked for. */
final class RangesNotServedException extends Exception {
    @Serial
    private static final long serialVersionUID = 1L;

    RangesNotServedException(String message) {
        super(message);
    }
}
