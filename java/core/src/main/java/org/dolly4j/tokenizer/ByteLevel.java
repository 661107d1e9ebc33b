package org.dolly4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The byte-level spelling of tokens (Radford et al. 2019, GPT-2): each byte is one printable character. Visible
 * Latin-1 characters stand for themselves, the other 68 bytes for U+0100 and up, in order.
 */
final class ByteLevel {
    private static final char[] CHAR_OF_BYTE = new char[256];
    private static final short[] BYTE_OF_CHAR = new short[256 + 68];

    static {
        Arrays.fill(BYTE_OF_CHAR, (short) -1);
        char next = 256;
        for (int b = 0; b < 256; b++) {
            boolean visible = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
            CHAR_OF_BYTE[b] = visible ? (char) b : next++;
            BYTE_OF_CHAR[CHAR_OF_BYTE[b]] = (short) b;
        }
    }

    private ByteLevel() {}

    /** The character that stands for a byte (0 to 255). */
    static char charOf(int b) {
        return CHAR_OF_BYTE[b];
    }

    /** The bytes in byte-level spelling. */
    static String spell(byte[] bytes, int from, int to) {
        char[] chars = new char[to - from];
        for (int i = from; i < to; i++) {
            chars[i - from] = CHAR_OF_BYTE[bytes[i] & 0xFF];
        }
        return new String(chars);
    }

    /** The bytes that a token decodes to: by its spelling if each character stands for a byte, else its UTF-8. */
    static byte[] decode(String token) {
        byte[] bytes = new byte[token.length()];
        for (int i = 0; i < bytes.length; i++) {
            char c = token.charAt(i);
            if (c >= BYTE_OF_CHAR.length || BYTE_OF_CHAR[c] < 0) {
                return token.getBytes(StandardCharsets.UTF_8);
            }
            bytes[i] = (byte) BYTE_OF_CHAR[c];
        }
        return bytes;
    }
}
