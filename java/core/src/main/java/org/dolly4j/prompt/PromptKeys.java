package org.dolly4j.prompt;

import java.util.Optional;

/**
 * The texts of those special tokens of a tokenizer that the template is made of. A key that the tokenizer does not have
 * is ordinary text of the prompt.
 *
 * @param instruction the token {@code "### Instruction:"}
 * @param response the first token that starts with {@code "### Response:"}; some tokenizers have the newline in it
 * @param end the token {@code "### End"}
 */
public record PromptKeys(Optional<String> instruction, Optional<String> response, Optional<String> end) {
    /** What stands before the instruction. */
    public static final String INSTRUCTION_KEY = "### Instruction:";

    /** What stands before the answer, followed by a newline. */
    public static final String RESPONSE_KEY = "### Response:";

    /** What the model was trained to put after the answer. */
    public static final String END_KEY = "### End";

    /** No key is a special token. */
    public static final PromptKeys PLAIN = new PromptKeys(Optional.empty(), Optional.empty(), Optional.empty());

    /**
     * Whether answers are found by tokens: upstream's pipeline does so if the tokenizer has both a response and an end
     * key, and by patterns in the text otherwise.
     */
    public boolean marksAnswers() {
        return response.isPresent() && end.isPresent();
    }
}
