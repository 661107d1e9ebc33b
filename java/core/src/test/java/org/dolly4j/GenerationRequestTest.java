package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.dolly4j.prompt.Conversation;
import org.dolly4j.prompt.Conversation.Role;
import org.dolly4j.prompt.Conversation.Turn;
import org.junit.jupiter.api.Test;

class GenerationRequestTest {
    private static void assertRefused(GenerationRequest.Builder request, String message) {
        assertThatThrownBy(request::build)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }

    @Test
    void emptyText_isRefused() {
        assertRefused(GenerationRequest.forInstruction(""), "The instruction is empty");
        assertRefused(GenerationRequest.forInstruction(" \n"), "The instruction is empty");
        assertRefused(GenerationRequest.forInstruction("", "a context"), "The instruction is empty");
        assertRefused(GenerationRequest.forPrompt(""), "The prompt is empty");
        assertRefused(
                GenerationRequest.forConversation(new Conversation(List.of(new Turn(Role.USER, " ")))),
                "The instruction is empty");
    }

    @Test
    void emptyInstruction_isAcceptedWhereTextIsTakenAsHuggingFaceDoes() {
        assertThatCode(() -> GenerationRequest.forInstruction("")
                        .allowSpecialTokensInText(true)
                        .build())
                .doesNotThrowAnyException();
    }

    @Test
    void valuesOutOfRange_areRefusedByName() {
        assertRefused(GenerationRequest.forInstruction("Hi").maxNewTokens(0), "maxNewTokens = 0 must be at least 1");
        assertRefused(GenerationRequest.forInstruction("Hi").sequences(0), "sequences = 0 must be at least 1");
        assertRefused(GenerationRequest.forInstruction("Hi").stopTokenIds(List.of(3, -1)), "stopTokenIds = [3, -1]");
        assertRefused(GenerationRequest.forInstruction("Hi").stopStrings(List.of("a", "")), "stopStrings = [a, ]");
    }

    @Test
    void optionsOutOfRange_areRefusedByName() {
        assertThatThrownBy(() -> DollyOptions.builder().device("tpu").build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("tpu");
        assertThatThrownBy(() -> DollyOptions.builder().threads(-1).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("threads");
        assertThatThrownBy(() -> DollyOptions.builder().kvCacheTokens(0).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("kvCacheTokens = 0");
    }
}
