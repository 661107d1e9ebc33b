package org.dolly4j.tokenizer;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.dolly4j.CheckpointException;

/**
 * A byte-level BPE tokenizer as Hugging Face's files describe it. Immutable and thread-safe.
 *
 * <p>Same ids and same text as {@code transformers} 5 with the same files, on every JDK. What a file asks for beyond
 * byte-level BPE (other models, normalizers, decoders, dropout ...) is refused by name when it is loaded.
 */
public final class Tokenizer {
    private final TextEncoder encoder;
    private final TokenTable tokens;
    private final Map<String, Integer> vocab;
    private final Map<String, Integer> addedIds;
    private final List<AddedToken> addedTokens;
    private final TokenizerSettings settings;

    private Tokenizer(BpeModel model, TokenizerSettings settings, List<AddedToken> addedTokens) {
        this.encoder = new TextEncoder(model, addedTokens);
        this.tokens =
                new TokenTable(model.vocab(), addedTokens, model.pipeline().nfc());
        this.vocab = model.vocab();
        this.addedIds = addedTokens.stream().collect(Collectors.toMap(AddedToken::content, AddedToken::id));
        this.addedTokens = addedTokens;
        this.settings = settings;
    }

    /**
     * Loads tokenizer.json, or vocab.json and merges.txt if there is none, and, where they stand beside it,
     * tokenizer_config.json, special_tokens_map.json, added_tokens.json, and config.json for the class of the
     * tokenizer.
     *
     * @param path a model folder, or a tokenizer.json
     * @throws org.dolly4j.CheckpointException if a file is missing, damaged, or uses a feature not supported
     */
    public static Tokenizer load(Path path) {
        boolean isFolder = Files.isDirectory(path);
        TokenizerSettings settings =
                TokenizerSettings.read(isFolder ? path : path.toAbsolutePath().getParent());
        Path file = isFolder ? path.resolve("tokenizer.json") : path;
        if (isFolder && !Files.exists(file) && VocabularyFiles.areIn(path)) {
            return of(path.resolve(VocabularyFiles.VOCABULARY), VocabularyFiles.read(path, settings), settings);
        }
        if (!Files.isRegularFile(file)) {
            throw new CheckpointException(
                    file + ": no such file. A model folder holds its tokenizer as tokenizer.json, or as vocab.json and"
                            + " merges.txt; for one without, save it with transformers' AutoTokenizer first.");
        }
        return of(file, TokenizerJson.read(file, settings.pipeline()), settings);
    }

    private static Tokenizer of(Path file, BpeModel model, TokenizerSettings settings) {
        return new Tokenizer(model, settings, AddedVocabulary.gather(file, model, settings));
    }

    /**
     * Encodes text; special tokens that stand in it are recognised (Hugging Face's default, unless
     * tokenizer_config.json sets {@code split_special_tokens}).
     *
     * @param text any text; half a surrogate pair, which is no character, is taken as U+FFFD
     * @return the ids; none are added before or after
     */
    public int[] encode(String text) {
        return encoder.encode(text, settings.splitSpecialTokens());
    }

    /**
     * Encodes text; special tokens that stand in it are taken as plain text (HF split_special_tokens).
     *
     * @param text as for {@link #encode}
     */
    public int[] encodeAsText(String text) {
        return encoder.encode(text, true);
    }

    /**
     * Decodes ids; an id without a token decodes to nothing.
     *
     * @param skipSpecialTokens whether special tokens are left out
     * @return the UTF-8 of all tokens' bytes together, each maximal invalid part replaced by U+FFFD, and spaces
     *     cleaned up if tokenizer_config.json sets {@code clean_up_tokenization_spaces} and
     *     {@code clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output}: alone the first has no
     *     effect on BPE
     */
    public String decode(int[] ids, boolean skipSpecialTokens) {
        String text = tokens.decode(ids, skipSpecialTokens);
        if (!settings.cleanUpSpaces()) {
            return text;
        }
        SpaceCleaner cleaner = new SpaceCleaner();
        return cleaner.append(text) + cleaner.finish();
    }

    /** A decoder of a stream of ids, for one thread. */
    public StreamDecoder newStreamDecoder(boolean skipSpecialTokens) {
        return new StreamDecoder(tokens, skipSpecialTokens, settings.cleanUpSpaces());
    }

    /** One more than the largest id that has a token. */
    public int vocabSize() {
        return tokens.size();
    }

    /** The id of a token given by its text: an added token by its content, another in byte-level spelling. */
    public OptionalInt tokenId(String token) {
        Integer added = addedIds.get(token);
        Integer id = added != null ? added : vocab.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /** The token of an id, in the spelling of {@link #tokenId}. */
    public Optional<String> token(int id) {
        return tokens.token(id);
    }

    /** Whether an id is a special token. */
    public boolean isSpecial(int id) {
        return tokens.isSpecial(id);
    }

    /** The tokens added to the model's vocabulary, special or not, in order of ids. */
    public List<AddedToken> addedTokens() {
        return addedTokens;
    }

    /** The first special token whose text starts with the prefix, in order of ids. */
    public OptionalInt firstSpecialTokenStartingWith(String prefix) {
        return addedTokens.stream()
                .filter(token -> token.special() && token.content().startsWith(prefix))
                .mapToInt(AddedToken::id)
                .findFirst();
    }

    /**
     * The end-of-sequence token of tokenizer_config.json or special_tokens_map.json; where neither states it, {@code
     * <|endoftext|>} if the class of the tokenizer is GPT-NeoX's or GPT-2's, else none.
     */
    public OptionalInt eosTokenId() {
        return settings.eosToken().map(this::tokenId).orElse(OptionalInt.empty());
    }

    /** Forgets the words encoded so far, which are kept to encode them faster; ids do not change. */
    public void clearCache() {
        encoder.clearCache();
    }
}
