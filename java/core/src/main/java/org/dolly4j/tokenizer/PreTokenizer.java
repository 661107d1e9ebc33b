package org.dolly4j.tokenizer;

/**
 * Cuts text into words as GPT-2's pattern does (Radford et al. 2019; {@code ByteLevel} of the tokenizers library):
 *
 * <pre>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</pre>
 *
 * The words cover the text without gaps. {@code ?} of the pattern is a plain space (U+0020) alone.
 */
final class PreTokenizer {
    private static final byte[] ASCII_CLASS = new byte[128];

    static {
        for (int c = 0; c < ASCII_CLASS.length; c++) {
            ASCII_CLASS[c] = (byte) UnicodeData.classOf(c);
        }
    }

    private PreTokenizer() {}

    /** End of the word that starts at {@code from}; the text ends at {@code to}, which is more than from. */
    static int wordEnd(char[] text, int from, int to) {
        char first = text[from];
        if (first == '\'') {
            int length = contractionLength(text, from, to);
            if (length > 0) {
                return from + length;
            }
        }
        int start = first == ' ' && from + 1 < to ? from + 1 : from;
        int wordClass = classAt(text, start, to);
        if (wordClass != UnicodeData.SPACE) {
            return runEnd(text, start, to, wordClass);
        }
        int end = runEnd(text, start, to, UnicodeData.SPACE);
        // White space before a word leaves its last character to it, or to a word of its own. All of it is in the BMP.
        return end == to || end == from + 1 ? end : end - 1;
    }

    private static int runEnd(char[] text, int from, int to, int wordClass) {
        int i = from;
        while (i < to) {
            char c = text[i];
            if (c < ASCII_CLASS.length) {
                if (ASCII_CLASS[c] != wordClass) {
                    break;
                }
                i++;
            } else {
                int codePoint = Character.codePointAt(text, i, to);
                if (UnicodeData.classOf(codePoint) != wordClass) {
                    break;
                }
                i += Character.charCount(codePoint);
            }
        }
        return i;
    }

    private static int classAt(char[] text, int i, int to) {
        char c = text[i];
        return c < ASCII_CLASS.length ? ASCII_CLASS[c] : UnicodeData.classOf(Character.codePointAt(text, i, to));
    }

    /** Length of 's, 't, 'm, 'd, 're, 've or 'll at an apostrophe, 0 if none stands there. */
    private static int contractionLength(char[] text, int apostrophe, int to) {
        if (apostrophe + 1 >= to) {
            return 0;
        }
        char second = text[apostrophe + 1];
        char third = apostrophe + 2 < to ? text[apostrophe + 2] : 0;
        return switch (second) {
            case 's', 't', 'm', 'd' -> 2;
            case 'r', 'v' -> third == 'e' ? 3 : 0;
            case 'l' -> third == 'l' ? 3 : 0;
            default -> 0;
        };
    }
}
