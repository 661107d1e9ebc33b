package org.dolly4j.tokenizer;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Unicode as Hugging Face's tokenizers see it, the same on every JDK.
 *
 * <p>The regex of the pre-tokenizer goes by Unicode 16, normalisation by about Unicode 9: marks that are newer are
 * not reordered. {@link Character} and {@link java.text.Normalizer} follow the version of the JDK instead. The facts
 * stand in the resource {@code unicode.txt}.
 */
public final class UnicodeData {
    static final int OTHER = 0;
    static final int LETTER = 1;
    static final int NUMBER = 2;
    static final int SPACE = 3;

    private static final int CLASS_MASK = 3;
    private static final int WORD_BIT = 4;
    /** Set where normalisation has to look closer: a combining class, or not surely in NFC where it stands. */
    private static final int NFC_BIT = 8;
    /** Set for what NFC replaces, or may join to what stands before it. */
    private static final int UNSTABLE_BIT = 16;

    private static final int BLOCK = 256;
    private static final int CODE_POINTS = Character.MAX_CODE_POINT + 1;

    /** Properties in two stages, for code point c: {@code PROPERTIES[BLOCK_START[c / 256] + c % 256]}. */
    private static final char[] BLOCK_START = new char[CODE_POINTS / BLOCK];

    private static final byte[] PROPERTIES;

    /** Code points with a combining class, ascending, and beside them the class (1 to 254). */
    private static final int[] COMBINING;

    private static final byte[] COMBINING_CLASS;

    /** Code points with a decomposition, ascending, and beside them its first and second (0 = none) code point. */
    private static final int[] DECOMPOSED;

    private static final int[] DECOMPOSED_FIRST;
    private static final int[] DECOMPOSED_SECOND;

    /** Pairs that compose, first << 32 | second, ascending, and beside them the result. */
    private static final long[] COMPOSED_PAIR;

    private static final int[] COMPOSED;

    static {
        Tables tables = Tables.read();
        COMBINING = tables.combining.keySet().stream()
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        COMBINING_CLASS = new byte[COMBINING.length];
        for (int i = 0; i < COMBINING.length; i++) {
            COMBINING_CLASS[i] = tables.combining.get(COMBINING[i]).byteValue();
        }
        DECOMPOSED = tables.decomposition.keySet().stream()
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        DECOMPOSED_FIRST = new int[DECOMPOSED.length];
        DECOMPOSED_SECOND = new int[DECOMPOSED.length];
        for (int i = 0; i < DECOMPOSED.length; i++) {
            long pair = tables.decomposition.get(DECOMPOSED[i]);
            DECOMPOSED_FIRST[i] = (int) (pair >>> 32);
            DECOMPOSED_SECOND[i] = (int) pair;
        }
        COMPOSED_PAIR = tables.composition.keySet().stream()
                .mapToLong(Long::longValue)
                .sorted()
                .toArray();
        COMPOSED = new int[COMPOSED_PAIR.length];
        for (int i = 0; i < COMPOSED.length; i++) {
            COMPOSED[i] = tables.composition.get(COMPOSED_PAIR[i]);
        }
        PROPERTIES = pack(tables.properties, BLOCK_START);
    }

    private UnicodeData() {}

    /** Whether {@code \p{L}} of the pre-tokenizer's regex matches. */
    public static boolean isLetter(int codePoint) {
        return classOf(codePoint) == LETTER;
    }

    /** Whether {@code \p{N}} of the pre-tokenizer's regex matches. */
    public static boolean isNumber(int codePoint) {
        return classOf(codePoint) == NUMBER;
    }

    /** Whether {@code \s} of the pre-tokenizer's regex matches. */
    public static boolean isSpace(int codePoint) {
        return classOf(codePoint) == SPACE;
    }

    /** Whether {@code \w} matches, by which added tokens with {@code single_word} tell words. */
    public static boolean isWord(int codePoint) {
        return (properties(codePoint) & WORD_BIT) != 0;
    }

    /** The text in Unicode's normalisation form C. An unpaired surrogate stays as it is. */
    public static String nfc(String text) {
        char[] chars = text.toCharArray();
        char[] normalized = Nfc.normalize(chars, 0, chars.length);
        return normalized == null ? text : new String(normalized);
    }

    /** {@link #LETTER}, {@link #NUMBER}, {@link #SPACE} or {@link #OTHER}; a surrogate is OTHER. */
    static int classOf(int codePoint) {
        return properties(codePoint) & CLASS_MASK;
    }

    /** Whether the code point stands as it is in NFC wherever it stands, and nothing moves past it. */
    static boolean isInert(int codePoint) {
        return (properties(codePoint) & NFC_BIT) == 0;
    }

    /** Whether NFC replaces the code point, or may join it to what stands before it. */
    static boolean isUnstable(int codePoint) {
        return (properties(codePoint) & UNSTABLE_BIT) != 0;
    }

    /** Canonical combining class, 0 for a starter. */
    static int combiningClass(int codePoint) {
        if (isInert(codePoint)) {
            return 0;
        }
        int i = Arrays.binarySearch(COMBINING, codePoint);
        return i < 0 ? 0 : COMBINING_CLASS[i] & 0xFF;
    }

    /** Index of the decomposition of a code point other than a Hangul syllable, negative if it has none. */
    static int decompositionIndex(int codePoint) {
        return Arrays.binarySearch(DECOMPOSED, codePoint);
    }

    /** First code point of a decomposition, which may decompose further. */
    static int decompositionFirst(int index) {
        return DECOMPOSED_FIRST[index];
    }

    /** Second code point of a decomposition, 0 if it has one alone. */
    static int decompositionSecond(int index) {
        return DECOMPOSED_SECOND[index];
    }

    /** What a pair other than of Hangul composes to, -1 if it does not. */
    static int compose(int first, int second) {
        int i = Arrays.binarySearch(COMPOSED_PAIR, (long) first << 32 | second);
        return i < 0 ? -1 : COMPOSED[i];
    }

    private static int properties(int codePoint) {
        return PROPERTIES[BLOCK_START[codePoint >>> 8] + (codePoint & 0xFF)];
    }

    /** Drops repeated blocks of 256 properties; fills the block starts. */
    private static byte[] pack(byte[] flat, char[] blockStart) {
        Map<String, Integer> starts = new HashMap<>();
        byte[] packed = new byte[flat.length];
        int length = 0;
        for (int block = 0; block < blockStart.length; block++) {
            String content = new String(flat, block * BLOCK, BLOCK, StandardCharsets.ISO_8859_1);
            Integer start = starts.putIfAbsent(content, length);
            if (start == null) {
                start = length;
                System.arraycopy(flat, block * BLOCK, packed, length, BLOCK);
                length += BLOCK;
            }
            blockStart[block] = (char) start.intValue();
        }
        return Arrays.copyOf(packed, length);
    }

    /** The resource as it is read: one property byte per code point, and maps. */
    private static final class Tables {
        private static final String RESOURCE = "unicode.txt";

        private final byte[] properties = new byte[CODE_POINTS];
        private final Map<Integer, Integer> combining = new HashMap<>();
        private final Map<Integer, Long> decomposition = new HashMap<>();
        private final Map<Long, Integer> composition = new HashMap<>();

        static Tables read() {
            Tables tables = new Tables();
            try (InputStream stream = UnicodeData.class.getResourceAsStream(RESOURCE);
                    BufferedReader lines =
                            new BufferedReader(new InputStreamReader(stream, StandardCharsets.US_ASCII))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    if (!line.startsWith("#")) {
                        String[] words = line.split(" ", -1);
                        for (int i = 1; i < words.length; i++) {
                            tables.add(words[0], words[i]);
                        }
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException("cannot read the resource " + RESOURCE + " of the tokenizer", e);
            }
            tables.markHangul();
            return tables;
        }

        private void add(String key, String word) {
            switch (key) {
                case "letter" -> mark(word, LETTER | WORD_BIT);
                case "number" -> mark(word, NUMBER);
                case "space" -> mark(word, SPACE);
                case "word" -> mark(word, WORD_BIT);
                case "compose" -> addDecomposition(word, true);
                case "decompose" -> addDecomposition(word, false);
                default -> {
                    int combiningClass = Integer.parseInt(key.substring("ccc-".length()));
                    mark(word, NFC_BIT);
                    int[] range = range(word);
                    for (int c = range[0]; c <= range[1]; c++) {
                        combining.put(c, combiningClass);
                    }
                }
            }
        }

        private void addDecomposition(String word, boolean composes) {
            int equals = word.indexOf('=');
            int comma = word.indexOf(',');
            int composite = hex(word, 0, equals);
            int first = hex(word, equals + 1, comma < 0 ? word.length() : comma);
            int second = comma < 0 ? 0 : hex(word, comma + 1, word.length());
            long pair = (long) first << 32 | second;
            decomposition.put(composite, pair);
            if (composes) {
                composition.put(pair, composite);
                properties[second] |= NFC_BIT | UNSTABLE_BIT;
            } else {
                properties[composite] |= NFC_BIT | UNSTABLE_BIT;
            }
        }

        /** Vowels and trailing consonants join the syllable before them. */
        private void markHangul() {
            for (int c = Nfc.HANGUL_V; c < Nfc.HANGUL_V + Nfc.HANGUL_V_COUNT; c++) {
                properties[c] |= NFC_BIT | UNSTABLE_BIT;
            }
            for (int c = Nfc.HANGUL_T + 1; c < Nfc.HANGUL_T + Nfc.HANGUL_T_COUNT; c++) {
                properties[c] |= NFC_BIT | UNSTABLE_BIT;
            }
        }

        private void mark(String word, int bits) {
            int[] range = range(word);
            for (int c = range[0]; c <= range[1]; c++) {
                properties[c] |= (byte) bits;
            }
        }

        private static int[] range(String word) {
            int dash = word.indexOf('-');
            int first = hex(word, 0, dash < 0 ? word.length() : dash);
            return new int[] {first, dash < 0 ? first : hex(word, dash + 1, word.length())};
        }

        private static int hex(String word, int from, int to) {
            return Integer.parseInt(word, from, to, 16);
        }
    }
}
