package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
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
        assertRefused(GenerationRequest.forInstruction("Hi").sequences(0), "sequences = 0 must be from 1 to 10,000");
        assertRefused(
                GenerationRequest.forInstruction("Hi").sequences(2_000_000_000),
                "sequences = 2000000000 must be from 1 to 10,000");
        assertRefused(GenerationRequest.forInstruction("Hi").stopTokenIds(List.of(3, -1)), "stopTokenIds = [3, -1]");
        for (int top : new int[] {-1, 101}) {
            assertRefused(
                    GenerationRequest.forInstruction("Hi").topLogprobs(top),
                    "topLogprobs = " + top + " must be from 0 to 100");
        }
        assertRefused(GenerationRequest.forInstruction("Hi").stopStrings(List.of("a", "")), "stopStrings = ['a', '']");
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
        assertThatThrownBy(() ->
                        DollyOptions.builder().kvCacheTokens(Integer.MAX_VALUE).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("kvCacheTokens = 2147483647 must be from 1 to 1,073,741,824.");
    }

    @Test
    void nulls_areRefusedByNameWhereTheyAreGiven() {
        GenerationRequest.Builder request = GenerationRequest.forInstruction("Hi");
        DollyOptions.Builder options = DollyOptions.builder();
        Map<String, ThrowingCallable> calls = Map.ofEntries(
                Map.entry("instruction", () -> GenerationRequest.forInstruction(null)),
                Map.entry("context", () -> GenerationRequest.forInstruction("Hi", null)),
                Map.entry("prompt", () -> GenerationRequest.forPrompt(null)),
                Map.entry("conversation", () -> GenerationRequest.forConversation(null)),
                Map.entry("sampling", () -> request.sampling(null)),
                Map.entry("stopStrings", () -> request.stopStrings(null)),
                Map.entry("stopTokenIds", () -> request.stopTokenIds(null)),
                Map.entry("truncate", () -> request.truncate(null)),
                Map.entry("cacheSalt", () -> request.cacheSalt(null)),
                Map.entry("tokenizer", () -> options.tokenizer(null)),
                Map.entry("dtype", () -> options.dtype(null)),
                Map.entry("kvCacheDtype", () -> options.kvCacheDtype(null)),
                Map.entry("backend", () -> options.backend(null)),
                Map.entry("device", () -> options.device(null)),
                Map.entry("model", () -> Dolly.load((String) null)),
                Map.entry("folder", () -> Dolly.load((Path) null)),
                Map.entry("options", () -> Dolly.load(Path.of("model"), null)));
        calls.forEach((name, call) -> assertThatThrownBy(call)
                .as(name)
                .isInstanceOf(NullPointerException.class)
                .hasMessage(name));
    }
}
