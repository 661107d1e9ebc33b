package org.dolly4j.prompt;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dolly4j.prompt.Prompt.Segment;

/**
 * The template that Dolly was trained with (databricks' {@code instruct_pipeline.py},
 * {@code PROMPT_FOR_GENERATION_FORMAT}, and for the context the trainer's {@code PROMPT_WITH_INPUT_FORMAT}):
 *
 * <pre>{@code
 * Below is an instruction that describes a task. Write a response that appropriately completes the request.
 *
 * ### Instruction:
 * (instruction)
 *
 * Input:
 * (context; this part only if there is one)
 *
 * ### Response:
 * }</pre>
 */
public final class PromptTemplate {
    private static final String INTRO = "Below is an instruction that describes a task. Write a response that"
            + " appropriately completes the request.\n\n";
    private static final String RESPONSE_LINE = PromptKeys.RESPONSE_KEY + "\n";

    private final PromptKeys keys;

    /** @param keys special tokens of the tokenizer that will encode the prompts */
    public PromptTemplate(PromptKeys keys) {
        this.keys = keys;
    }

    /**
     * Puts an instruction into the template.
     *
     * @param instruction what to do, taken as it is
     * @param context the text that the instruction is about, taken as it is
     */
    public Prompt render(String instruction, Optional<String> context) {
        List<Segment> segments = new ArrayList<>();
        segments.add(Segment.text(INTRO));
        segments.add(
                keys.instruction().isPresent()
                        ? Segment.key(PromptKeys.INSTRUCTION_KEY)
                        : Segment.text(PromptKeys.INSTRUCTION_KEY));
        segments.add(Segment.text("\n" + instruction));
        context.ifPresent(text -> segments.add(Segment.text("\n\nInput:\n" + text)));
        segments.add(Segment.text("\n\n"));
        Optional<String> response = keys.response().filter(RESPONSE_LINE::startsWith);
        response.ifPresent(key -> segments.add(Segment.key(key)));
        segments.add(Segment.text(
                RESPONSE_LINE.substring(response.map(String::length).orElse(0))));
        return new Prompt(segments);
    }
}
