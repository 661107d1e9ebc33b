package org.dolly4j;

/** Why an answer ends where it does. */
public enum FinishReason {
    /** At Dolly's end key, {@code ### End}, as a token or, where the tokenizer has none, spelt out. */
    END,
    /** At the model's end-of-sequence token. */
    EOS,
    /** At a stop string or stop token of the request. */
    STOP,
    /** At the request's {@code maxNewTokens}, or at the end of the context. */
    LENGTH,
    /** Where the request's {@code deadline} passed. */
    DEADLINE,
    /** Where the request was cancelled. */
    CANCELLED
}
