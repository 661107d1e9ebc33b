package org.dolly4j;

/** A request needs more tokens than the model's context holds. */
public final class ContextLengthException extends DollyException {
    private static final long serialVersionUID = 1L;

    /** @param message what was expected, what was found, what to do */
    public ContextLengthException(String message) {
        super(message);
    }

    /**
     * @param message what was expected, what was found, what to do
     * @param cause the failure underneath
     */
    public ContextLengthException(String message, Throwable cause) {
        super(message, cause);
    }
}
