package org.dolly4j.engine;

import java.util.Optional;
import org.dolly4j.sampling.TokenLogprobs;

/** Something that happened to a request. {@link Completed} or {@link Failed} is the last one, and there is just one. */
public sealed interface Event {
    /**
     * A sequence has one more token.
     *
     * @param sequence index of the sequence in its request
     * @param token the token
     * @param nanos when it was drawn, since the submission
     * @param logprobs how likely the model found it, if the request asks for that
     * @param finish why it is the sequence's last one, if it is
     */
    record Token(int sequence, int token, long nanos, Optional<TokenLogprobs> logprobs, Optional<Finish> finish)
            implements Event {}

    /**
     * The answer that a sequence is was found by beam search; its tokens follow.
     *
     * @param sequence index of the sequence in its request, the best answer first
     * @param score log-probability divided by the power of the length that the options say
     */
    record Score(int sequence, double score) implements Event {}

    /**
     * A sequence has no more tokens, and its last one did not say so.
     *
     * @param sequence index of the sequence in its request
     * @param nanos when it ended, since the submission
     * @param finish why
     */
    record SequenceEnd(int sequence, long nanos, Finish finish) implements Event {}

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
