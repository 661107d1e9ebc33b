package org.dolly4j;

import java.util.regex.Pattern;

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

    /** Control characters, those that turn the direction of writing and the like, line ends, halves of characters. */
    private static final Pattern UNREADABLE = Pattern.compile("[\\p{Cc}\\p{Cf}\\p{Cs}\\u2028\\u2029]");

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
        String line = UNREADABLE.matcher(message).replaceAll("?");
        return line.length() <= MAX_LENGTH
                ? line
                : line.substring(0, MAX_LENGTH - LENGTH_OF_END - CUT.length())
                        + CUT
                        + line.substring(line.length() - LENGTH_OF_END);
    }
}
