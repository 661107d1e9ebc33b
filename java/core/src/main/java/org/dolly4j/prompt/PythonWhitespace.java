package org.dolly4j.prompt;

/**
 * White space as Python's {@code str.strip} and {@code \s} see it: Unicode's White_Space and U+001C..U+001F. Not the
 * JDK's {@code \s}, {@code isWhitespace} or {@code strip}, which take other sets.
 */
public final class PythonWhitespace {
    /** The set as the inside of a character class of java.util.regex. */
    public static final String CLASS =
            "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

    private PythonWhitespace() {}

    public static boolean is(char c) {
        return (c >= '\t' && c <= '\r')
                || (c >= 0x1c && c <= ' ')
                || c == 0x85
                || c == 0xa0
                || c == 0x1680
                || (c >= 0x2000 && c <= 0x200a)
                || c == 0x2028
                || c == 0x2029
                || c == 0x202f
                || c == 0x205f
                || c == 0x3000;
    }

    /** The text without white space at its ends. */
    public static String strip(String text) {
        String ended = stripTrailing(text);
        int start = 0;
        while (start < ended.length() && is(ended.charAt(start))) {
            start++;
        }
        return ended.substring(start);
    }

    /** The text without white space at its end. */
    public static String stripTrailing(String text) {
        int end = text.length();
        while (end > 0 && is(text.charAt(end - 1))) {
            end--;
        }
        return text.substring(0, end);
    }
}
