package org.dolly4j;

/**
 * A file of a model folder (weights, config, tokenizer) is missing, damaged, or of an unsupported kind.
 *
 * <p>The message is one line of a length that a person reads, whatever the file: messages quote what it holds, and a
 * hostile one may hold control characters, or megabytes of text.
 */
public final class CheckpointException extends DollyException {
    private static final long serialVersionUID = 1L;

    /** Most characters of a message. */
    private static final int MAX_LENGTH = 2000;

    /** Characters of a longer one that come from its end, where it says what to do. */
    private static final int LENGTH_OF_END = 400;

    private static final String CUT = " ... ";

    /** @param message what was expected, what was found, what to do */
    public CheckpointException(String message) {
        super(readable(message));
    }

    /**
     * @param message what was expected, what was found, what to do
     * @param cause the failure underneath
     */
    public CheckpointException(String message, Throwable cause) {
        super(readable(message), cause);
    }

    private static String readable(String message) {
        String cut = message.length() <= MAX_LENGTH
                ? message
                : message.substring(0, MAX_LENGTH - LENGTH_OF_END - CUT.length())
                        + CUT
                        + message.substring(message.length() - LENGTH_OF_END);
        return cut.replaceAll("\\p{Cntrl}", "?");
    }
}
