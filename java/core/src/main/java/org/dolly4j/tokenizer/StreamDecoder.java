package org.dolly4j.tokenizer;

/** Turns token ids into text pieces as they come; never shows half a character, never takes one back. */
public final class StreamDecoder {
    StreamDecoder() {}

    /** Adds a token and returns the text that is certain now and was not shown before, maybe empty. */
    public String append(int id) {
        throw new UnsupportedOperationException();
    }

    /** Ends the stream and returns what was held back, maybe empty. */
    public String finish() {
        throw new UnsupportedOperationException();
    }
}
