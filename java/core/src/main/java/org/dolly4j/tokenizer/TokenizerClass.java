package org.dolly4j.tokenizer;

import java.util.Map;
import java.util.Optional;

/**
 * A tokenizer's class in transformers 5 that takes vocabulary and merges from the files, and makes all steps around
 * them itself, whatever tokenizer.json says of these. Those of other classes are as tokenizer.json says.
 */
enum TokenizerClass {
    GPT_NEOX("GPTNeoXTokenizer", "gpt_neox", true, Map.of("pad_token", "<|padding|>")),
    GPT_2("GPT2Tokenizer", "gptj", false, Map.of());

    private static final String END_OF_TEXT = "<|endoftext|>";

    private final String className;
    private final String modelType;
    private final boolean nfc;
    private final Map<String, String> furtherNames;

    /**
     * @param modelType of models that have this class if none is stated
     * @param nfc whether it normalises text to form C
     * @param furtherNames special tokens that it has besides those at the ends of texts, by name
     */
    TokenizerClass(String className, String modelType, boolean nfc, Map<String, String> furtherNames) {
        this.className = className;
        this.modelType = modelType;
        this.nfc = nfc;
        this.furtherNames = furtherNames;
    }

    /** The class of this name, with or without the ending that older versions gave it. */
    static Optional<TokenizerClass> named(String className) {
        for (TokenizerClass one : values()) {
            if (className.equals(one.className) || className.equals(one.className + "Fast")) {
                return Optional.of(one);
            }
        }
        return Optional.empty();
    }

    /** The class of models of this type. */
    static Optional<TokenizerClass> ofModel(String modelType) {
        for (TokenizerClass one : values()) {
            if (modelType.equals(one.modelType)) {
                return Optional.of(one);
            }
        }
        return Optional.empty();
    }

    /** Text of the special token that a name stands for where no file states it. */
    Optional<String> defaultToken(String name) {
        return switch (name) {
            case "bos_token", "eos_token", "unk_token" -> Optional.of(END_OF_TEXT);
            default -> Optional.ofNullable(furtherNames.get(name));
        };
    }

    /** The steps around the model. */
    TokenizerPipeline pipeline(boolean addPrefixSpace) {
        return new TokenizerPipeline(nfc, addPrefixSpace, true);
    }

    @Override
    public String toString() {
        return className;
    }
}
