package org.dolly4j;

import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.prompt.PromptKeys;
import org.dolly4j.tokenizer.Tokenizer;

/**
 * Dolly's special tokens as a tokenizer has them. There are tokenizers with the published keys, with a newline in the
 * response key, and without any; so keys are found by their text, never by known ids.
 *
 * @param keys texts of the keys that are special tokens
 * @param endKey id of the end key, if answers are marked by tokens
 */
record TemplateTokens(PromptKeys keys, OptionalInt endKey) {
    /** Finds the tokens; the response key is the first special token that starts with it, as in Dolly's pipeline. */
    static TemplateTokens of(Tokenizer tokenizer) {
        OptionalInt response = tokenizer.firstSpecialTokenStartingWith(PromptKeys.RESPONSE_KEY);
        PromptKeys keys = new PromptKeys(
                special(tokenizer, tokenizer.tokenId(PromptKeys.INSTRUCTION_KEY)),
                special(tokenizer, response),
                special(tokenizer, tokenizer.tokenId(PromptKeys.END_KEY)));
        return new TemplateTokens(
                keys, keys.marksAnswers() ? tokenizer.tokenId(PromptKeys.END_KEY) : OptionalInt.empty());
    }

    private static Optional<String> special(Tokenizer tokenizer, OptionalInt id) {
        return id.isPresent() && tokenizer.isSpecial(id.getAsInt()) ? tokenizer.token(id.getAsInt()) : Optional.empty();
    }
}
