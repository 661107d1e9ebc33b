package org.dolly4j.tokenizer;

/**
 * Turns token ids into text pieces as they come; never shows half a character, never takes one back.
 *
 * <p>All pieces together are what {@link Tokenizer#decode} makes of all ids. After each token everything is shown but a
 * last character of which bytes are still due (announced by its first byte, so three bytes at most are held back) and,
 * where the tokenizer cleans up spaces, a space and the up to two characters after it that may yet be cleaned. For one
 * thread.
 */
public final class StreamDecoder {
    private final TokenTable tokens;
    private final boolean skipSpecialTokens;
    private final SpaceCleaner cleaner;
    private final Utf8Decoder utf8 = new Utf8Decoder();
    private final StringBuilder piece = new StringBuilder();
    private boolean finished;

    StreamDecoder(TokenTable tokens, boolean skipSpecialTokens, boolean cleanUpSpaces) {
        this.tokens = tokens;
        this.skipSpecialTokens = skipSpecialTokens;
        this.cleaner = cleanUpSpaces ? new SpaceCleaner() : null;
    }

    /**
     * Adds a token and returns the text that is certain now and was not shown before, maybe empty.
     *
     * @param id a token; one that has none adds nothing
     * @throws IllegalStateException after {@link #finish}
     */
    public String append(int id) {
        if (finished) {
            throw new IllegalStateException("append after finish: a StreamDecoder serves one stream, take a new one");
        }
        if (skipSpecialTokens && tokens.isSpecial(id)) {
            return "";
        }
        tokens.decode(id, utf8, piece);
        return takePiece();
    }

    /** Ends the stream and returns what was held back, maybe empty; once more, and it returns nothing. */
    public String finish() {
        if (finished) {
            return "";
        }
        finished = true;
        utf8.finish(piece);
        String rest = takePiece();
        return cleaner == null ? rest : rest + cleaner.finish();
    }

    private String takePiece() {
        if (piece.isEmpty()) {
            return "";
        }
        String text = piece.toString();
        piece.setLength(0);
        return cleaner == null ? text : cleaner.append(text);
    }
}
