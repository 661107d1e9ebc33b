package org.dolly4j.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Text to ids, step by step as the tokenizers library does it: added tokens are cut out of the text as given, each
 * piece between them is normalised, normalized added tokens are cut out of that, and each piece left is cut into
 * words, which BPE encodes. No piece knows its neighbours. Immutable but for the cache, and thread-safe.
 */
final class TextEncoder {
    private final TokenizerPipeline pipeline;
    private final AddedTokens givenTokens;
    private final AddedTokens normalizedTokens;
    private final MergeTable merges;
    private final int[] idOfByte = new int[256];
    private final Map<String, Integer> wholeWords;
    private final WordCache cache = new WordCache();

    /** The added tokens looked for in one of the two passes, in the order of the matcher's patterns. */
    private record AddedTokens(List<AddedToken> tokens, List<String> patterns, AddedTokenMatcher matcher) {
        static AddedTokens of(List<AddedToken> all, boolean normalized, boolean nfc) {
            List<AddedToken> tokens =
                    all.stream().filter(t -> t.normalized() == normalized).toList();
            List<String> patterns =
                    tokens.stream().map(t -> AddedVocabulary.pattern(t, nfc)).toList();
            return new AddedTokens(tokens, patterns, new AddedTokenMatcher(patterns));
        }
    }

    TextEncoder(BpeModel model, List<AddedToken> addedTokens) {
        this.pipeline = model.pipeline();
        this.givenTokens = AddedTokens.of(addedTokens, false, pipeline.nfc());
        this.normalizedTokens = AddedTokens.of(addedTokens, true, pipeline.nfc());
        this.merges = new MergeTable(model.merges());
        this.wholeWords = model.ignoreMerges() ? model.vocab() : Map.of();
        for (int b = 0; b < 256; b++) {
            idOfByte[b] = model.vocab().getOrDefault(String.valueOf(ByteLevel.charOf(b)), -1);
        }
    }

    /** @param specialAsText whether special tokens in the text are taken as text */
    int[] encode(String text, boolean specialAsText) {
        char[] chars = text.toCharArray();
        Run run = new Run(specialAsText, chars.length / 4 + 8);
        run.cutAddedTokens(chars, 0, chars.length, true);
        return run.ids.copyFrom(0);
    }

    void clearCache() {
        cache.clear();
    }

    /** The encoding of one text. */
    private final class Run {
        private final boolean specialAsText;
        private final IdList ids;
        private WordMerger merger;
        private byte[] bytes = new byte[0];

        Run(boolean specialAsText, int capacity) {
            this.specialAsText = specialAsText;
            this.ids = new IdList(capacity);
        }

        /**
         * Cuts added tokens out of {@code text[from, to)} and encodes the pieces between.
         *
         * @param given whether this is the pass over the text as given, before normalisation
         */
        void cutAddedTokens(char[] text, int from, int to, boolean given) {
            AddedTokens added = given ? givenTokens : normalizedTokens;
            int pieceStart = from;
            int searchFrom = from;
            while (true) {
                long match = added.matcher().find(text, searchFrom, to);
                if (match < 0) {
                    break;
                }
                AddedToken token = added.tokens().get((int) match);
                int start = (int) (match >>> 32);
                int end = start + added.patterns().get((int) match).length();
                // What is matched and then not taken is not searched again, and neither is white space stripped to the
                // right shielded from the next match: both as in the tokenizers library.
                searchFrom = end;
                if (specialAsText && token.special()) {
                    continue;
                }
                if (token.singleWord() && touchesWord(text, from, start, end, to)) {
                    continue;
                }
                if (token.lstrip()) {
                    while (start > from && UnicodeData.isSpace(text[start - 1])) {
                        start--;
                    }
                    start = Math.max(start, pieceStart);
                }
                if (token.rstrip()) {
                    while (end < to && UnicodeData.isSpace(text[end])) {
                        end++;
                    }
                }
                if (start >= end) {
                    continue; // all of it is white space that the token before took along
                }
                encodePiece(text, pieceStart, start, given);
                ids.add(token.id());
                pieceStart = end;
            }
            encodePiece(text, pieceStart, to, given);
        }

        private boolean touchesWord(char[] text, int from, int start, int end, int to) {
            return (start > from && UnicodeData.isWord(Character.codePointBefore(text, start, from)))
                    || (end < to && UnicodeData.isWord(Character.codePointAt(text, end, to)));
        }

        private void encodePiece(char[] text, int from, int to, boolean given) {
            if (from >= to) {
                return;
            }
            if (!given) {
                encodeWords(text, from, to);
                return;
            }
            char[] normalized = pipeline.nfc() ? Nfc.normalize(text, from, to) : null;
            if (normalized == null) {
                cutAddedTokens(text, from, to, false);
            } else {
                cutAddedTokens(normalized, 0, normalized.length, false);
            }
        }

        private void encodeWords(char[] text, int from, int to) {
            if (pipeline.addPrefixSpace() && text[from] != ' ') {
                char[] prefixed = new char[to - from + 1];
                prefixed[0] = ' ';
                System.arraycopy(text, from, prefixed, 1, to - from);
                cutWords(prefixed, 0, prefixed.length);
            } else {
                cutWords(text, from, to);
            }
        }

        private void cutWords(char[] text, int from, int to) {
            int word = from;
            while (word < to) {
                int end = pipeline.splitsWords() ? PreTokenizer.wordEnd(text, word, to) : to;
                encodeWord(text, word, end);
                word = end;
            }
        }

        private void encodeWord(char[] text, int from, int to) {
            if (to - from > WordCache.MAX_WORD) {
                mergeWord(text, from, to);
                return;
            }
            int hash = WordCache.hash(text, from, to);
            int[] known = cache.get(hash, text, from, to);
            if (known != null) {
                ids.addAll(known);
                return;
            }
            int start = ids.size();
            mergeWord(text, from, to);
            cache.put(hash, text, from, to, ids.copyFrom(start));
        }

        private void mergeWord(char[] text, int from, int to) {
            int length = utf8(text, from, to);
            if (!wholeWords.isEmpty()) {
                Integer id = wholeWords.get(ByteLevel.spell(bytes, 0, length));
                if (id != null) {
                    ids.add(id);
                    return;
                }
            }
            if (merger == null) {
                merger = new WordMerger(merges);
            }
            merger.merge(bytes, length, idOfByte, ids);
        }

        /** Fills {@link #bytes} with the UTF-8 of a word, U+FFFD for half a surrogate pair; returns its length. */
        private int utf8(char[] text, int from, int to) {
            long most = 3L * (to - from);
            if (bytes.length < most) {
                bytes = Arrays.copyOf(bytes, (int) Math.min(Integer.MAX_VALUE - 8, Math.max(most, 192)));
            }
            int length = 0;
            for (int i = from; i < to; i++) {
                char c = text[i];
                if (c < 0x80) {
                    bytes[length++] = (byte) c;
                } else if (c < 0x800) {
                    bytes[length++] = (byte) (0xC0 | c >> 6);
                    bytes[length++] = (byte) (0x80 | (c & 0x3F));
                } else if (Character.isHighSurrogate(c) && i + 1 < to && Character.isLowSurrogate(text[i + 1])) {
                    int codePoint = Character.toCodePoint(c, text[++i]);
                    bytes[length++] = (byte) (0xF0 | codePoint >> 18);
                    bytes[length++] = (byte) (0x80 | (codePoint >> 12 & 0x3F));
                    bytes[length++] = (byte) (0x80 | (codePoint >> 6 & 0x3F));
                    bytes[length++] = (byte) (0x80 | (codePoint & 0x3F));
                } else {
                    char known = Character.isSurrogate(c) ? '\uFFFD' : c;
                    bytes[length++] = (byte) (0xE0 | known >> 12);
                    bytes[length++] = (byte) (0x80 | (known >> 6 & 0x3F));
                    bytes[length++] = (byte) (0x80 | (known & 0x3F));
                }
            }
            return length;
        }
    }
}
