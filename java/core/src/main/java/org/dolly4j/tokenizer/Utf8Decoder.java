package org.dolly4j.tokenizer;

import java.util.Arrays;

/**
 * Decodes UTF-8 that comes in pieces. Each maximal part that no further byte could make valid becomes one U+FFFD
 * (Unicode 16, section 3.9, as Rust's from_utf8_lossy and Python's errors="replace").
 *
 * <p>A sequence is judged when as many bytes are there as its first byte announces. So a damaged one is held back as
 * long as a whole one would have been: three bytes at most.
 */
final class Utf8Decoder {
    private static final char REPLACEMENT = '\uFFFD';

    /** The sequence that is being gathered: its bytes so far, and how many its first byte announces. */
    private final int[] sequence = new int[4];

    private int gathered;
    private int announced;

    /** Appends the characters of the sequences that these bytes complete, and U+FFFD for the invalid ones. */
    void decode(byte[] bytes, int from, int to, StringBuilder out) {
        for (int i = from; i < to; i++) {
            int b = bytes[i] & 0xFF;
            if (gathered == 0 && b < 0x80) {
                out.append((char) b);
            } else {
                add(b, out);
            }
        }
    }

    /** Ends the text: appends what was held back. */
    void finish(StringBuilder out) {
        while (gathered > 0) {
            judge(out);
        }
    }

    private void add(int b, StringBuilder out) {
        if (gathered == 0) {
            announced = announcedBy(b);
        }
        sequence[gathered++] = b;
        if (gathered == announced) {
            judge(out);
        }
    }

    /** Takes one character or one invalid part off the sequence, and begins again with the bytes after it. */
    private void judge(StringBuilder out) {
        int valid = validBytes();
        if (valid == announced) {
            out.appendCodePoint(codePoint());
            gathered = 0;
            return;
        }
        out.append(REPLACEMENT);
        int[] unused = Arrays.copyOfRange(sequence, Math.max(1, valid), gathered);
        gathered = 0;
        for (int b : unused) {
            add(b, out);
        }
    }

    private static int announcedBy(int first) {
        return first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1;
    }

    /** How many bytes from the first can begin a character; 0 if the first can not. */
    private int validBytes() {
        int first = sequence[0];
        if (first < 0x80) {
            return 1;
        }
        if (first < 0xC2 || first > 0xF4) {
            return 0; // a continuation, or an overlong form, or above U+10FFFF
        }
        int least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80; // less would be an overlong form
        int greatest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF; // more a surrogate, or above U+10FFFF
        int valid = 1;
        while (valid < gathered && sequence[valid] >= least && sequence[valid] <= greatest) {
            least = 0x80;
            greatest = 0xBF;
            valid++;
        }
        return valid;
    }

    private int codePoint() {
        int codePoint = announced == 1 ? sequence[0] : sequence[0] & (0x7F >> announced);
        for (int i = 1; i < announced; i++) {
            codePoint = codePoint << 6 | (sequence[i] & 0x3F);
        }
        return codePoint;
    }
}
