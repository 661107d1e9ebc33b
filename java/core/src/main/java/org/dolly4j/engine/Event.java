package org.dolly4j.engine;

/** Something that happened to a request. {@link Completed} or {@link Failed} is the last one, and there is just one. */
public sealed interface Event {
    /**
     * A sequence has one more token.
     *
     * @param sequence index of the sequence in its request
     * @param token the token, also if it ends the sequence
     */
    record Token(int sequence, int token) implements Event {}

    /**
     * A sequence has no more tokens.
     *
     * @param sequence index of the sequence in its request
     * @param finish why
     */
    record SequenceEnd(int sequence, Finish finish) implements Event {}

    /**
     * All sequences have ended. All times count from the submission, in nanoseconds.
     *
     * @param queuedNanos until the first step began; the whole time if none did
     * @param firstTokenNanos until the first token was drawn; the whole time if none was
     * @param totalNanos until the last sequence ended
     */
    record Completed(long queuedNanos, long firstTokenNanos, long totalNanos) implements Event {}

    /**
     * The request broke off.
     *
     * @param cause {@link IllegalStateException} if the scheduler was closed, otherwise what a step or a stop condition
     *     threw
     */
    record Failed(Throwable cause) implements Event {}
}
