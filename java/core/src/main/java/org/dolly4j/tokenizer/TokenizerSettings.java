package org.dolly4j.tokenizer;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the files beside tokenizer.json add to it: tokenizer_config.json, special_tokens_map.json and added_tokens.json,
 * each of them optional, read as {@code AutoTokenizer.from_pretrained} of transformers 5 reads them.
 *
 * <p>A name in special_tokens_map.json goes before the same name in tokenizer_config.json, unless the latter has an
 * {@code added_tokens_decoder}: then only the latter counts.
 *
 * <p>The class of the tokenizer, where one is stated, else that of the model type in config.json, matters in two ways: a
 * {@link TokenizerClass} has defaults for names that are not stated, and its own steps around the model, with
 * add_prefix_space of tokenizer_config.json; for the others tokenizer.json alone counts. (A tokenizer.json alone has no
 * class and no names.)
 *
 * @param declaredTokens added tokens with the id stated: of added_tokens_decoder, else of added_tokens.json
 * @param namedTokens special tokens by name (eos_token, pad_token ...), id -1
 * @param extraTokens further special tokens (additional_special_tokens, extra_special_tokens), id -1
 * @param cleanUpSpaces whether clean_up_tokenization_spaces is said and, as byte-level BPE needs its spaces, the key
 *     that insists on it, too
 * @param splitSpecialTokens split_special_tokens, false if not said
 * @param addsEnds whether add_bos_token or add_eos_token is said, which transformers follows where there is no
 *     tokenizer.json
 * @param pipeline the steps around the model in the place of those of tokenizer.json; empty if these count
 */
record TokenizerSettings(
        List<AddedToken> declaredTokens,
        Map<String, AddedToken> namedTokens,
        List<AddedToken> extraTokens,
        boolean cleanUpSpaces,
        boolean splitSpecialTokens,
        boolean addsEnds,
        Optional<TokenizerPipeline> pipeline) {

    private static final Logger LOG = LoggerFactory.getLogger(TokenizerSettings.class);

    private static final String CLEAN_UP = "clean_up_tokenization_spaces";
    private static final String CLEAN_UP_BPE = CLEAN_UP + "_for_bpe_even_though_it_will_corrupt_output";
    private static final String EOS = "eos_token";
    private static final String EXTRA = "extra_special_tokens";
    private static final String ADDITIONAL = "additional_special_tokens";
    private static final String DECLARED = "added_tokens_decoder";

    /** transformers' SPECIAL_TOKENS_ATTRIBUTES, in the order in which new ones get their ids. */
    private static final List<String> NAMES =
            List.of("bos_token", EOS, "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");

    /** Text of the end-of-sequence token. */
    Optional<String> eosToken() {
        return Optional.ofNullable(namedTokens.get(EOS)).map(AddedToken::content);
    }

    /** Reads what stands in the folder. */
    static TokenizerSettings read(Path folder) {
        Source config = Source.read(folder.resolve("tokenizer_config.json"));
        Optional<TokenizerClass> tokenizerClass = tokenizerClass(config, folder);
        boolean declares = config.has(DECLARED);
        Source map = declares ? Source.NONE : Source.read(folder.resolve("special_tokens_map.json"));
        Map<String, AddedToken> named = namedTokens(config, map, tokenizerClass);
        List<AddedToken> extra = extraTokens(config, map);
        List<AddedToken> declared = declares
                ? declaredTokens(config)
                : legacyTokens(Source.read(folder.resolve("added_tokens.json")), named.values(), extra);
        if (!config.has(ADDITIONAL) && !config.hasList(EXTRA) && !map.hasList(EXTRA)) {
            extra = map.tokens(ADDITIONAL, true);
        }
        return new TokenizerSettings(
                declared,
                named,
                extra,
                cleansUpSpaces(config),
                isOn(config, "split_special_tokens"),
                isOn(config, "add_bos_token") || isOn(config, "add_eos_token"),
                tokenizerClass.map(one -> one.pipeline(isOn(config, "add_prefix_space"))));
    }

    private static boolean isOn(Source config, String name) {
        return config.flag(name).orElse(false);
    }

    private static Optional<TokenizerClass> tokenizerClass(Source config, Path folder) {
        Optional<String> stated = config.text("tokenizer_class");
        if (stated.isEmpty()) {
            Source model = Source.read(folder.resolve("config.json"));
            stated = model.text("tokenizer_class");
            if (stated.isEmpty()) {
                return model.text("model_type").flatMap(TokenizerClass::ofModel);
            }
        }
        return stated.flatMap(TokenizerClass::named);
    }

    /** @param tokenizerClass says what names stand for that neither file states, be it as null */
    private static Map<String, AddedToken> namedTokens(
            Source config, Source map, Optional<TokenizerClass> tokenizerClass) {
        Map<String, AddedToken> named = new LinkedHashMap<>();
        for (String name : NAMES) {
            Source source = map.has(name) ? map : config;
            if (source.has(name)) {
                if (!source.get(name).isJsonNull()) {
                    named.put(name, source.token(name, source.get(name), true));
                }
            } else {
                tokenizerClass
                        .flatMap(one -> one.defaultToken(name))
                        .ifPresent(text -> named.put(name, namedByText(text)));
            }
        }
        for (Source source : List.of(map, config)) {
            for (String name : source.names()) {
                JsonElement value = source.get(name);
                boolean isToken = isString(value)
                        || (value.isJsonObject() && value.getAsJsonObject().has("content"));
                if (name.endsWith("_token") && isToken && !NAMES.contains(name)) {
                    named.putIfAbsent(name, source.token(name, value, true));
                }
            }
            if (source.has(EXTRA) && source.get(EXTRA).isJsonObject()) {
                for (Map.Entry<String, JsonElement> entry :
                        source.get(EXTRA).getAsJsonObject().entrySet()) {
                    named.put(entry.getKey(), source.token(EXTRA + "." + entry.getKey(), entry.getValue(), true));
                }
            }
        }
        return named;
    }

    /**
     * The further special tokens, but for additional_special_tokens of the map, which counts if no other list is
     * there.
     */
    private static List<AddedToken> extraTokens(Source config, Source map) {
        List<AddedToken> extra = new ArrayList<>(config.tokens(EXTRA, false));
        if (extra.isEmpty()) {
            extra.addAll(config.tokens(ADDITIONAL, false));
        }
        extra.addAll(map.tokens(EXTRA, true));
        return extra;
    }

    private static boolean cleansUpSpaces(Source config) {
        boolean cleanUp = isOn(config, CLEAN_UP);
        boolean insists = isOn(config, CLEAN_UP_BPE);
        if (cleanUp && !insists) {
            LOG.debug("{}: {} has no effect without {}, as in transformers.", config.path, CLEAN_UP, CLEAN_UP_BPE);
        }
        return cleanUp && insists;
    }

    private static List<AddedToken> declaredTokens(Source config) {
        JsonElement declared = config.get(DECLARED);
        if (!declared.isJsonObject()) {
            throw config.error(DECLARED, "should be an object", declared);
        }
        List<AddedToken> tokens = new ArrayList<>();
        for (Map.Entry<String, JsonElement> entry : declared.getAsJsonObject().entrySet()) {
            String name = DECLARED + "." + entry.getKey();
            if (!entry.getValue().isJsonObject()) {
                throw config.error(name, "should be an object", entry.getValue());
            }
            int id = config.id(name, entry.getKey());
            tokens.add(withId(id, config.token(name, entry.getValue(), false)));
        }
        tokens.sort(Comparator.comparingInt(AddedToken::id));
        return tokens;
    }

    /** Tokens of added_tokens.json, the form of slow tokenizers: text and id. */
    private static List<AddedToken> legacyTokens(
            Source legacy, Collection<AddedToken> named, Collection<AddedToken> extra) {
        Set<String> special = Stream.concat(named.stream(), extra.stream())
                .map(AddedToken::content)
                .collect(Collectors.toSet());
        List<AddedToken> tokens = new ArrayList<>();
        for (String content : legacy.names()) {
            int id = legacy.id("'" + content + "'", legacy.get(content).toString());
            boolean isSpecial = special.contains(content);
            tokens.add(new AddedToken(id, content, isSpecial, false, false, false, !isSpecial));
        }
        tokens.sort(Comparator.comparingInt(AddedToken::id));
        return tokens;
    }

    /** A token given by its text alone. */
    private static AddedToken namedByText(String content) {
        return new AddedToken(-1, content, true, false, false, false, false);
    }

    private static AddedToken withId(int id, AddedToken t) {
        return new AddedToken(id, t.content(), t.special(), t.singleWord(), t.lstrip(), t.rstrip(), t.normalized());
    }

    private static boolean isString(JsonElement value) {
        return value instanceof JsonPrimitive primitive && primitive.isString();
    }

    /** One of the files, or an empty object in its place. */
    private record Source(Path path, JsonObject json) {
        private static final Source NONE = new Source(Path.of(""), new JsonObject());

        static Source read(Path path) {
            return Files.exists(path) ? new Source(path, JsonFile.readObject(path)) : NONE;
        }

        boolean has(String name) {
            return json.has(name);
        }

        /** Whether there is something else than names, which an object gives. */
        boolean hasList(String name) {
            return has(name) && !get(name).isJsonObject();
        }

        JsonElement get(String name) {
            return json.get(name);
        }

        Iterable<String> names() {
            return json.keySet();
        }

        /** A text; none if there is no such key, or another kind of value. */
        Optional<String> text(String name) {
            return Optional.ofNullable(json.get(name))
                    .filter(TokenizerSettings::isString)
                    .map(JsonElement::getAsString);
        }

        Optional<Boolean> flag(String name) {
            JsonElement value = json.get(name);
            if (value == null || value.isJsonNull()) {
                return Optional.empty();
            }
            if (!(value instanceof JsonPrimitive primitive) || !primitive.isBoolean()) {
                throw error(name, "should be true or false", value);
            }
            return Optional.of(value.getAsBoolean());
        }

        int id(String name, String digits) {
            if (digits.matches("[0-9]{1,9}") && Integer.parseInt(digits) <= BpeModel.MAX_ID) {
                return Integer.parseInt(digits);
            }
            throw new CheckpointException("%s: %s has the id %s, which should be a whole number from 0 to %s"
                    .formatted(path, name, digits, BpeModel.MAX_ID));
        }

        /** The tokens of a list; none if there is no such list. For {@code special} see {@link #token}. */
        List<AddedToken> tokens(String name, boolean special) {
            List<AddedToken> tokens = new ArrayList<>();
            JsonElement list = json.get(name);
            if (list == null || list.isJsonNull() || list.isJsonObject()) {
                return tokens;
            }
            if (!list.isJsonArray()) {
                throw error(name, "should be an array", list);
            }
            for (JsonElement value : list.getAsJsonArray()) {
                tokens.add(token(name, value, special));
            }
            return tokens;
        }

        /**
         * A token given by its text, which makes it special, or by its fields.
         *
         * @param special whether one given by its fields is special even if they do not say so
         */
        AddedToken token(String name, JsonElement value, boolean special) {
            if (isString(value)) {
                return namedByText(content(name, value));
            }
            if (value.isJsonObject() && value.getAsJsonObject().has("content")) {
                Source fields = new Source(path, value.getAsJsonObject());
                boolean isSpecial = special || fields.flag("special").orElse(false);
                return new AddedToken(
                        -1,
                        content(name + ".content", fields.get("content")),
                        isSpecial,
                        fields.flag("single_word").orElse(false),
                        fields.flag("lstrip").orElse(false),
                        fields.flag("rstrip").orElse(false),
                        fields.flag("normalized").orElse(!isSpecial));
            }
            throw error(name, "should be a token: a string, or an object with its content", value);
        }

        private String content(String name, JsonElement value) {
            if (!isString(value) || JsonFile.hasUnpairedSurrogate(value.getAsString())) {
                throw error(name, "should be a string of whole characters", value);
            }
            return value.getAsString();
        }

        CheckpointException error(String name, String expected, JsonElement found) {
            String text = found.toString();
            return new CheckpointException("%s: %s %s but is %s"
                    .formatted(path, name, expected, text.length() <= 60 ? text : text.substring(0, 60) + "..."));
        }
    }
}
