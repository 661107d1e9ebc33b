package org.dolly4j.tokenizer;

import java.util.Arrays;

/**
 * Unicode normalisation form C (UAX #15) over {@link UnicodeData}.
 *
 * <p>A first pass proves most text to be in NFC without allocating. Where it cannot, the text is rebuilt in stretches
 * that begin at a stable starter: one that nothing before it can join or move past. A stretch costs
 * O(n log n) however many marks it has.
 */
final class Nfc {
    static final int HANGUL_S = 0xAC00;
    static final int HANGUL_L = 0x1100;
    static final int HANGUL_V = 0x1161;
    static final int HANGUL_T = 0x11A7;
    static final int HANGUL_L_COUNT = 19;
    static final int HANGUL_V_COUNT = 21;
    static final int HANGUL_T_COUNT = 28;
    private static final int HANGUL_S_COUNT = HANGUL_L_COUNT * HANGUL_V_COUNT * HANGUL_T_COUNT;

    /** No character below has a combining class or joins another. */
    private static final char FIRST_MARK = 0x300;

    /** The code points of one stretch, decomposed; while being sorted, under their place and combining class. */
    private long[] marks = new long[32];

    private int markCount;

    private char[] out;
    private int outLength;

    private Nfc(int capacity) {
        this.out = new char[capacity];
    }

    /**
     * Normalises {@code text[from, to)}.
     *
     * @return the text in NFC, or null if it is so already
     */
    static char[] normalize(char[] text, int from, int to) {
        int unsure = firstUnsureStretch(text, from, to);
        if (unsure < 0) {
            return null;
        }
        Nfc nfc = new Nfc(to - from + 16);
        int copied = from;
        while (unsure >= 0) {
            nfc.append(text, copied, unsure);
            copied = nfc.appendStretch(text, unsure, to);
            unsure = firstUnsureStretch(text, copied, to);
        }
        nfc.append(text, copied, to);
        return Arrays.copyOf(nfc.out, nfc.outLength);
    }

    /** Start of the first stretch not surely in NFC, or -1. */
    private static int firstUnsureStretch(char[] text, int from, int to) {
        int stretch = from;
        int lastClass = 0;
        int i = from;
        while (i < to) {
            if (text[i] < FIRST_MARK) {
                do {
                    i++;
                } while (i < to && text[i] < FIRST_MARK);
                stretch = i - 1;
                lastClass = 0;
                continue;
            }
            int codePoint = Character.codePointAt(text, i, to);
            if (UnicodeData.isInert(codePoint)) {
                stretch = i;
                lastClass = 0;
            } else {
                int combiningClass = UnicodeData.combiningClass(codePoint);
                if (UnicodeData.isUnstable(codePoint) || (combiningClass != 0 && combiningClass < lastClass)) {
                    return stretch;
                }
                lastClass = combiningClass;
            }
            i += Character.charCount(codePoint);
        }
        return -1;
    }

    /** Appends the stretch that begins at {@code from}, normalised; returns its end. */
    private int appendStretch(char[] text, int from, int to) {
        markCount = 0;
        int i = from;
        while (i < to) {
            int codePoint = Character.codePointAt(text, i, to);
            if (i > from && UnicodeData.isInert(codePoint)) {
                break;
            }
            decompose(codePoint);
            i += Character.charCount(codePoint);
        }
        sortMarks();
        compose();
        return i;
    }

    private void decompose(int codePoint) {
        int syllable = codePoint - HANGUL_S;
        if (syllable >= 0 && syllable < HANGUL_S_COUNT) {
            int t = syllable % HANGUL_T_COUNT;
            addMark(HANGUL_L + syllable / (HANGUL_V_COUNT * HANGUL_T_COUNT));
            addMark(HANGUL_V + syllable / HANGUL_T_COUNT % HANGUL_V_COUNT);
            if (t != 0) {
                addMark(HANGUL_T + t);
            }
            return;
        }
        int index = UnicodeData.decompositionIndex(codePoint);
        if (index < 0) {
            addMark(codePoint);
            return;
        }
        decompose(UnicodeData.decompositionFirst(index));
        int second = UnicodeData.decompositionSecond(index);
        if (second != 0) {
            decompose(second);
        }
    }

    private void addMark(int codePoint) {
        if (markCount == marks.length) {
            marks = Arrays.copyOf(marks, 2 * markCount);
        }
        marks[markCount++] = codePoint;
    }

    private static int codePoint(long mark) {
        return (int) (mark & 0x1F_FFFF);
    }

    /** Sorts each run of marks between starters by combining class, equal classes in the order of the text. */
    private void sortMarks() {
        int i = 0;
        while (i < markCount) {
            int start = i;
            boolean sorted = true;
            long lastClass = 0;
            while (i < markCount) {
                long combiningClass = UnicodeData.combiningClass(codePoint(marks[i]));
                if (combiningClass == 0) {
                    break;
                }
                sorted &= lastClass <= combiningClass;
                lastClass = combiningClass;
                // class (bits 54 to 61), place in the run (bits 21 to 53), code point (bits 0 to 20)
                marks[i] |= combiningClass << 54 | (long) (i - start) << 21;
                i++;
            }
            if (!sorted) {
                Arrays.sort(marks, start, i);
            }
            i++;
        }
    }

    /** Joins each code point to the last starter where a composite exists and nothing between blocks it. */
    private void compose() {
        int starter = -1; // index in marks of the last starter, whose entry is replaced as it grows
        int lastClass = 0; // of the last code point kept after the starter, 0 if none
        int kept = 0;
        for (int i = 0; i < markCount; i++) {
            int codePoint = codePoint(marks[i]);
            int combiningClass = UnicodeData.combiningClass(codePoint);
            boolean adjacent = starter == kept - 1;
            if (starter >= 0 && (adjacent || (lastClass < combiningClass && lastClass != 0))) {
                int composite = composite(codePoint(marks[starter]), codePoint);
                if (composite >= 0) {
                    marks[starter] = composite;
                    continue;
                }
            }
            if (combiningClass == 0) {
                starter = kept;
            }
            lastClass = combiningClass;
            marks[kept++] = codePoint;
        }
        reserve(2 * kept);
        for (int i = 0; i < kept; i++) {
            outLength += Character.toChars(codePoint(marks[i]), out, outLength);
        }
    }

    private static int composite(int first, int second) {
        int l = first - HANGUL_L;
        int v = second - HANGUL_V;
        if (l >= 0 && l < HANGUL_L_COUNT && v >= 0 && v < HANGUL_V_COUNT) {
            return HANGUL_S + (l * HANGUL_V_COUNT + v) * HANGUL_T_COUNT;
        }
        int syllable = first - HANGUL_S;
        int t = second - HANGUL_T;
        boolean syllableWithoutT = syllable >= 0 && syllable < HANGUL_S_COUNT && syllable % HANGUL_T_COUNT == 0;
        if (syllableWithoutT && t > 0 && t < HANGUL_T_COUNT) {
            return first + t;
        }
        return UnicodeData.compose(first, second);
    }

    private void append(char[] text, int from, int to) {
        reserve(to - from);
        System.arraycopy(text, from, out, outLength, to - from);
        outLength += to - from;
    }

    private void reserve(int more) {
        if (out.length - outLength < more) {
            out = Arrays.copyOf(out, Math.max(out.length + out.length / 2, outLength + more));
        }
    }
}
