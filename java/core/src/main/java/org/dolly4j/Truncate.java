package org.dolly4j;

/**
 * What happens to a prompt that leaves no room for the answer. Only the user's text is cut, never the template: the
 * context first, then, if none of it is left, the instruction.
 */
public enum Truncate {
    /** The request is refused with a {@link ContextLengthException}. */
    NEVER,
    /** The beginning of the text is cut off. */
    HEAD,
    /** The end of the text is cut off. */
    TAIL
}
