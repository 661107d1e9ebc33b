package org.dolly4j;

import org.dolly4j.prompt.AnswerText;
import org.dolly4j.tokenizer.StreamDecoder;
import org.dolly4j.tokenizer.Tokenizer;

/** Text of one answer from its tokens, as they come. For one thread. */
final class AnswerStream {
    private final StreamDecoder decoder;
    private final AnswerText text;

    AnswerStream(Tokenizer tokenizer, AnswerText.Rules rules) {
        decoder = tokenizer.newStreamDecoder(false);
        text = new AnswerText(rules);
    }

    /** Adds a token that is part of the answer; returns what is certain now. */
    String append(int token) {
        return text.append(decoder.append(token));
    }

    /** Ends the answer; returns what was held back. */
    String finish() {
        return text.append(decoder.finish()) + text.finish();
    }

    /** What in the text ended the answer. */
    AnswerText.Ending ending() {
        return text.ending();
    }
}
