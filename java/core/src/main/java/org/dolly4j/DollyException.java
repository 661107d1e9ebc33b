package org.dolly4j;

/**
 * Root of the exceptions of this library. A message says what was expected, what was found and what to do.
 *
 * <p>Wrong arguments are reported as {@link IllegalArgumentException}, calls after close as {@link
 * IllegalStateException}; everything else that can go wrong is a subclass of this one.
 */
public class DollyException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** @param message what was expected, what was found, what to do */
    public DollyException(String message) {
        super(message);
    }

    /**
     * @param message what was expected, what was found, what to do
     * @param cause the failure underneath
     */
    public DollyException(String message, Throwable cause) {
        super(message, cause);
    }
}
