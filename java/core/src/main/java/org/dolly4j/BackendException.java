package org.dolly4j;

/** The native library, libtorch or the device failed or is not available. */
public sealed class BackendException extends DollyException permits MemoryShortageException {
    private static final long serialVersionUID = 1L;

    /** @param message what was expected, what was found, what to do */
    public BackendException(String message) {
        super(message);
    }

    /**
     * @param message what was expected, what was found, what to do
     * @param cause the failure underneath
     */
    public BackendException(String message, Throwable cause) {
        super(message, cause);
    }
}
