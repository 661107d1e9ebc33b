package org.dolly4j.tokenizer;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.dolly4j.CheckpointException;

/**
 * Gathers the added tokens of all files and gives them their ids, as {@code AddedVocabulary} of the tokenizers library
 * does: a token of the model keeps its id, a new one gets the next free id. Where a file states another id than that,
 * Hugging Face would silently number anew; here it is an error.
 */
final class AddedVocabulary {
    /** Text that is looked for takes some 100 bytes a character; real tokenizers have thousands. */
    private static final int MAX_CHARACTERS = 1 << 20;

    private final Path path;
    private final BpeModel model;
    private final BitSet modelIds = new BitSet();
    private final Map<String, AddedToken> tokens = new LinkedHashMap<>();
    private int largestId = -1;

    private AddedVocabulary(Path path, BpeModel model) {
        this.path = path;
        this.model = model;
        model.vocab().values().forEach(modelIds::set);
    }

    /**
     * The added tokens, by id.
     *
     * @param path the tokenizer.json, for messages
     */
    static List<AddedToken> gather(Path path, BpeModel model, TokenizerSettings settings) {
        AddedVocabulary vocabulary = new AddedVocabulary(path, model);
        model.addedTokens().forEach(vocabulary::add);
        settings.declaredTokens().forEach(vocabulary::add);
        Map<String, AddedToken> known = Map.copyOf(vocabulary.tokens);
        Set<AddedToken> unknown = new LinkedHashSet<>();
        for (AddedToken token : settings.namedTokens().values()) {
            if (known.containsKey(token.content())) {
                vocabulary.add(withSpecial(known.get(token.content())));
            } else {
                unknown.add(token);
            }
        }
        settings.extraTokens().stream()
                .filter(token -> !known.containsKey(token.content()))
                .forEach(unknown::add);
        unknown.forEach(vocabulary::add); // of several with one text the last says how it is looked for
        vocabulary.checkPatterns();
        List<AddedToken> tokens = new ArrayList<>(vocabulary.tokens.values());
        tokens.sort(Comparator.comparingInt(AddedToken::id));
        return List.copyOf(tokens);
    }

    /** Text that is looked for, and decoded to: of a normalized token its normal form. */
    static String pattern(AddedToken token, boolean nfc) {
        return token.normalized() && nfc ? UnicodeData.nfc(token.content()) : token.content();
    }

    private void add(AddedToken token) {
        if (token.content().isEmpty()) {
            return;
        }
        AddedToken known = tokens.get(token.content());
        Integer modelId = model.vocab().get(token.content());
        int id;
        if (known != null) {
            id = known.id();
        } else if (modelId != null) {
            id = modelId;
        } else {
            id = Math.max(model.vocab().size(), largestId + 1);
            if (modelIds.get(id)) {
                throw error("the added token '" + token.content() + "' would get id " + id
                        + ", which a token of model.vocab has: the ids of model.vocab have gaps");
            }
        }
        if (token.id() >= 0 && token.id() != id) {
            throw error("the added token '" + token.content() + "' is said to have id " + token.id()
                    + ", but by its place in the vocabulary it has id " + id);
        }
        if (id > BpeModel.MAX_ID) {
            throw error("there are more than " + BpeModel.MAX_ID + " tokens");
        }
        // Once special, always special: Hugging Face keeps a set of the texts.
        boolean special = token.special() || (known != null && known.special());
        largestId = Math.max(largestId, id);
        tokens.put(
                token.content(),
                new AddedToken(
                        id,
                        token.content(),
                        special,
                        token.singleWord(),
                        token.lstrip(),
                        token.rstrip(),
                        token.normalized()));
    }

    private static AddedToken withSpecial(AddedToken t) {
        return new AddedToken(t.id(), t.content(), true, t.singleWord(), t.lstrip(), t.rstrip(), t.normalized());
    }

    private void checkPatterns() {
        Map<String, AddedToken> byPattern = new HashMap<>();
        long characters = 0;
        for (AddedToken token : tokens.values()) {
            String pattern = pattern(token, model.pipeline().nfc());
            characters += pattern.length();
            if (characters > MAX_CHARACTERS) {
                throw error("the added tokens have more than " + MAX_CHARACTERS + " characters together");
            }
            AddedToken other = byPattern.putIfAbsent(token.normalized() + pattern, token);
            if (other != null) {
                throw error("the added tokens " + other.id() + " and " + token.id()
                        + " are looked for by the same text '" + pattern + "'");
            }
        }
    }

    private CheckpointException error(String what) {
        return new CheckpointException(
                path + ": " + what + ". The tokenizer's files are damaged, or do not belong together.");
    }
}
