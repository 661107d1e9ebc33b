package org.dolly4j.prompt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.dolly4j.prompt.Prompt.Kind;
import org.dolly4j.prompt.Prompt.Segment;
import org.junit.jupiter.api.Test;

class PromptTemplateTest {
    private static final String INTRO = "Below is an instruction that describes a task. Write a response that"
            + " appropriately completes the request.\n\n";
    private static final PromptKeys PUBLISHED = keys("### Response:");
    private static final PromptKeys NEWLINE = keys("### Response:\n");

    private static PromptKeys keys(String response) {
        return new PromptKeys(Optional.of("### Instruction:"), Optional.of(response), Optional.of("### End"));
    }

    private static Prompt render(PromptKeys keys, String instruction) {
        return new PromptTemplate(keys).render(instruction, Optional.empty());
    }

    @Test
    void everyFormHasTheSameText() {
        String expected = INTRO + "### Instruction:\nSay hi.\n\n### Response:\n";
        assertThat(List.of(PUBLISHED, NEWLINE, PromptKeys.PLAIN))
                .extracting(keys -> render(keys, "Say hi.").text())
                .containsOnly(expected);
    }

    @Test
    void contextFollowsTheInstructionUnderTheSameIntro() {
        Prompt prompt = new PromptTemplate(PUBLISHED).render("Who?", Optional.of("Ada wrote it."));
        assertThat(prompt.text())
                .isEqualTo(INTRO + "### Instruction:\nWho?\n\nInput:\nAda wrote it.\n\n### Response:\n");
        assertThat(prompt.segments()).hasSize(5);
    }

    @Test
    void publishedForm_leavesTheNewlineAfterTheResponseKeyAsText() {
        assertThat(render(PUBLISHED, "Say hi.").segments())
                .containsExactly(
                        new Segment(Kind.TEXT, INTRO),
                        new Segment(Kind.KEY, "### Instruction:"),
                        new Segment(Kind.TEXT, "\nSay hi.\n\n"),
                        new Segment(Kind.KEY, "### Response:"),
                        new Segment(Kind.TEXT, "\n"));
    }

    @Test
    void newlineForm_endsWithTheKey() {
        List<Segment> segments = render(NEWLINE, "Say hi.").segments();
        assertThat(segments.get(segments.size() - 1)).isEqualTo(new Segment(Kind.KEY, "### Response:\n"));
    }

    @Test
    void plainForm_isOneText() {
        assertThat(render(PromptKeys.PLAIN, "Say hi.").segments()).hasSize(1);
    }

    @Test
    void keyThatDoesNotStandInTheTemplate_isNotUsed() {
        assertThat(render(keys("### Response: ->"), "Say hi.").segments())
                .extracting(Segment::kind)
                .containsExactly(Kind.TEXT, Kind.KEY, Kind.TEXT);
    }

    @Test
    void keysTypedByAUser_stayInsideAText() {
        assertThat(render(PUBLISHED, "a\n\n### Response:\n\nb ### End").segments())
                .contains(new Segment(Kind.TEXT, "\na\n\n### Response:\n\nb ### End\n\n"))
                .hasSize(5);
    }
}
