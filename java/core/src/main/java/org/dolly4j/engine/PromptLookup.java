package org.dolly4j.engine;

/**
 * Drafts how a text goes on by what followed the same tokens in it before: answers quote their prompts, and repeat
 * themselves (prompt lookup decoding, Saxena 2023).
 */
final class PromptLookup {
    /** Tokens of a match beyond which longer ones are not told apart. */
    static final int LONGEST_MATCH = 8;

    /** Most tokens drafted at once; with the one before them they are as many rows as kernels treat like few. */
    static final int MAX_DRAFTS = 7;

    private PromptLookup() {}

    /**
     * A place before the end that ends with the same tokens as the whole.
     *
     * @param start index of what follows there, which may be the next tokens here
     * @param length how many tokens before are the same, at most {@link #LONGEST_MATCH}
     */
    record Match(int start, int length) {
        static final Match NONE = new Match(0, 0);
    }

    /** The longest match, of those as long the last one; {@link Match#NONE} if the last token is new. */
    static Match find(int[] tokens, int count) {
        int start = 0;
        int longest = 0;
        for (int end = count - 1; end > longest && longest < LONGEST_MATCH; end--) {
            if (tokens[end - 1] == tokens[count - 1]) {
                int length = commonLength(tokens, end, count);
                if (length > longest) {
                    longest = length;
                    start = end;
                }
            }
        }
        return longest == 0 ? Match.NONE : new Match(start, longest);
    }

    private static int commonLength(int[] tokens, int end, int count) {
        int most = Math.min(LONGEST_MATCH, end);
        int length = 1;
        while (length < most && tokens[end - 1 - length] == tokens[count - 1 - length]) {
            length++;
        }
        return length;
    }
}
