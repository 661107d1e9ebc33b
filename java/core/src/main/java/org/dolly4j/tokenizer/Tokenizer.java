package org.dolly4j.tokenizer;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/** A byte-level BPE tokenizer as Hugging Face's {@code tokenizer.json} describes it. Immutable and thread-safe. */
public final class Tokenizer {
    private Tokenizer() {}

    /**
     * Loads tokenizer.json and, where they stand beside it, tokenizer_config.json and special_tokens_map.json.
     *
     * @param path a model folder, or a tokenizer.json
     * @throws org.dolly4j.CheckpointException if a file is missing, damaged, or uses a feature not supported
     */
    public static Tokenizer load(Path path) {
        throw new UnsupportedOperationException(path.toString());
    }

    /** Encodes text; special tokens that stand in it are recognised (Hugging Face's default). */
    public int[] encode(String text) {
        throw new UnsupportedOperationException(text);
    }

    /** Encodes text; special tokens that stand in it are taken as plain text (HF split_special_tokens). */
    public int[] encodeAsText(String text) {
        throw new UnsupportedOperationException(text);
    }

    /** Decodes ids; an id without a token decodes to nothing. */
    public String decode(int[] ids, boolean skipSpecialTokens) {
        throw new UnsupportedOperationException();
    }

    /** A decoder of a stream of ids, for one thread. */
    public StreamDecoder newStreamDecoder(boolean skipSpecialTokens) {
        throw new UnsupportedOperationException();
    }

    /** One more than the largest id that has a token. */
    public int vocabSize() {
        throw new UnsupportedOperationException();
    }

    /** The id of a token given by its text: an added token by its content, another in byte-level spelling. */
    public OptionalInt tokenId(String token) {
        throw new UnsupportedOperationException(token);
    }

    /** The token of an id, in the spelling of {@link #tokenId}. */
    public Optional<String> token(int id) {
        throw new UnsupportedOperationException();
    }

    /** Whether an id is a special token. */
    public boolean isSpecial(int id) {
        throw new UnsupportedOperationException();
    }

    /** The first special token whose text starts with the prefix, in order of ids. */
    public OptionalInt firstSpecialTokenStartingWith(String prefix) {
        throw new UnsupportedOperationException(prefix);
    }

    /** The end-of-sequence token of tokenizer_config.json or special_tokens_map.json. */
    public OptionalInt eosTokenId() {
        throw new UnsupportedOperationException();
    }
}
