package org.dolly4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Ids to tokens and to the bytes they decode to. */
final class TokenTable {
    private final String[] tokens;
    private final BitSet special = new BitSet();

    /** Bytes of all tokens, one after the other; those of id i are {@code bytes[starts[i], starts[i + 1])}. */
    private final byte[] bytes;

    private final int[] starts;

    TokenTable(Map<String, Integer> vocab, List<AddedToken> addedTokens, boolean nfc) {
        int size = 0;
        for (int id : vocab.values()) {
            size = Math.max(size, id + 1);
        }
        for (AddedToken token : addedTokens) {
            size = Math.max(size, token.id() + 1);
        }
        tokens = new String[size];
        byte[][] decoded = new byte[size][];
        vocab.forEach((token, id) -> {
            tokens[id] = token;
            decoded[id] = ByteLevel.decode(token);
        });
        for (AddedToken token : addedTokens) {
            String pattern = AddedVocabulary.pattern(token, nfc);
            tokens[token.id()] = token.content();
            decoded[token.id()] = ByteLevel.decode(pattern);
            special.set(token.id(), token.special());
        }
        starts = new int[size + 1];
        for (int id = 0; id < size; id++) {
            starts[id + 1] = starts[id] + (decoded[id] == null ? 0 : decoded[id].length);
        }
        bytes = new byte[starts[size]];
        for (int id = 0; id < size; id++) {
            if (decoded[id] != null) {
                System.arraycopy(decoded[id], 0, bytes, starts[id], decoded[id].length);
            }
        }
    }

    int size() {
        return tokens.length;
    }

    Optional<String> token(int id) {
        return id < 0 || id >= tokens.length ? Optional.empty() : Optional.ofNullable(tokens[id]);
    }

    boolean isSpecial(int id) {
        return id >= 0 && special.get(id);
    }

    /** Adds what a token decodes to; nothing for an id without a token. */
    void decode(int id, Utf8Decoder decoder, StringBuilder out) {
        if (id >= 0 && id < tokens.length) {
            decoder.decode(bytes, starts[id], starts[id + 1], out);
        }
    }

    String decode(int[] ids, boolean skipSpecialTokens) {
        long length = 0;
        for (int id : ids) {
            if (shows(id, skipSpecialTokens)) {
                length += starts[id + 1] - starts[id];
            }
        }
        byte[] text = new byte[Math.toIntExact(length)];
        int end = 0;
        byte signs = 0;
        for (int id : ids) {
            if (shows(id, skipSpecialTokens)) {
                for (int i = starts[id]; i < starts[id + 1]; i++) {
                    signs |= bytes[i];
                    text[end++] = bytes[i];
                }
            }
        }
        if (signs >= 0) {
            return new String(text, StandardCharsets.ISO_8859_1); // ASCII alone
        }
        Utf8Decoder decoder = new Utf8Decoder();
        StringBuilder out = new StringBuilder(text.length);
        decoder.decode(text, 0, text.length, out);
        decoder.finish(out);
        return out.toString();
    }

    private boolean shows(int id, boolean skipSpecialTokens) {
        return id >= 0 && id < tokens.length && !(skipSpecialTokens && special.get(id));
    }
}
