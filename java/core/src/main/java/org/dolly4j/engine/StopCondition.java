package org.dolly4j.engine;

/**
 * Ends sequences by something other than single tokens, such as a text that they spell. Belongs to one request and is
 * asked once for every token of it, in order, on the scheduler's thread: so it answers at once and calls no user's
 * code.
 */
@FunctionalInterface
public interface StopCondition {
    /** Never ends a sequence. */
    StopCondition NEVER = new StopCondition() {
        @Override
        public boolean stopsAfter(int sequence, int token) {
            return false;
        }

        @Override
        public boolean endsWith(int[] answer) {
            return false;
        }
    };

    /**
     * Looks at the next token of a sequence. Not asked for tokens that end the sequence anyway.
     *
     * @param sequence index of the sequence in its request
     * @param token the token just drawn
     * @return whether it is the sequence's last one
     */
    boolean stopsAfter(int sequence, int token);

    /**
     * Looks at a whole answer, as beam search has many beginnings of one that come and go.
     *
     * @param answer its tokens so far, of which none but the last may end it
     * @return whether it ends with the last one
     * @throws UnsupportedOperationException unless it is made for beam search too
     */
    default boolean endsWith(int[] answer) {
        throw new UnsupportedOperationException("This condition does not look at whole answers.");
    }
}
