package org.dolly4j;

/** A file of a model folder (weights, config, tokenizer) is missing, damaged, or of an unsupported kind. */
public final class CheckpointException extends DollyException {
    private static final long serialVersionUID = 1L;

    /** @param message what was expected, what was found, what to do */
    public CheckpointException(String message) {
        super(message);
    }

    /**
     * @param message what was expected, what was found, what to do
     * @param cause the failure underneath
     */
    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
