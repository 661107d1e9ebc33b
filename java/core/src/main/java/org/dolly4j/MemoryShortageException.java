package org.dolly4j;

/**
 * A model would take more memory than there is, in every type that its options allow. Said before its weights are read,
 * with all figures.
 */
public final class MemoryShortageException extends BackendException {
    private static final long serialVersionUID = 1L;

    /** @param message what each type takes, what is available, what to do */
    public MemoryShortageException(String message) {
        super(message);
    }
}
