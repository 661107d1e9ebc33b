package org.dolly4j;

/** A model could not be had from the Hugging Face hub, nor from the cache of what was downloaded before. */
public final class HubException extends DollyException {
    private static final long serialVersionUID = 1L;

    /** @param message what was expected, what was found, what to do */
    public HubException(String message) {
        super(message);
    }

    /**
     * @param message what was expected, what was found, what to do
     * @param cause the failure underneath
     */
    public HubException(String message, Throwable cause) {
        super(message, cause);
    }
}
