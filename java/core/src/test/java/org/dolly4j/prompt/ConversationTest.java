package org.dolly4j.prompt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dolly4j.prompt.Conversation.Instruction;
import org.dolly4j.prompt.Conversation.Role;
import org.dolly4j.prompt.Conversation.Turn;
import org.junit.jupiter.api.Test;

class ConversationTest {
    private static final Turn SYSTEM = new Turn(Role.SYSTEM, "Be brief.");
    private static final Conversation LONG = new Conversation(
            List.of(user("one"), assistant("1"), SYSTEM, user("two"), assistant("2"), assistant("II"), user("three")));

    private static Turn user(String text) {
        return new Turn(Role.USER, text);
    }

    private static Turn assistant(String text) {
        return new Turn(Role.ASSISTANT, text);
    }

    @Test
    void singleUserTurn_isTheInstructionWithoutContext() {
        assertThat(new Conversation(List.of(user("Hi"))).instruction(any -> true))
                .isEqualTo(new Instruction("Hi", Optional.empty()));
    }

    @Test
    void systemTextAndEarlierTurns_areTheContext() {
        assertThat(LONG.instruction(any -> true))
                .isEqualTo(new Instruction(
                        "three",
                        Optional.of("Be brief.\nUser: one\nAssistant: 1\nUser: two\nAssistant: 2\nAssistant: II")));
    }

    @Test
    void tooLong_dropsTheOldestExchangesWhole_andKeepsTheSystemText() {
        List<String> asked = new ArrayList<>();
        Instruction shortest = LONG.instruction(instruction -> {
            asked.add(instruction.context().orElse(""));
            return false;
        });
        assertThat(asked)
                .containsExactly(
                        "Be brief.\nUser: one\nAssistant: 1\nUser: two\nAssistant: 2\nAssistant: II",
                        "Be brief.\nUser: two\nAssistant: 2\nAssistant: II");
        assertThat(shortest).isEqualTo(new Instruction("three", Optional.of("Be brief.")));
    }

    @Test
    void longestThatFits_wins() {
        assertThat(LONG.instruction(
                                instruction -> !instruction.context().orElse("").contains("one"))
                        .context())
                .contains("Be brief.\nUser: two\nAssistant: 2\nAssistant: II");
    }

    @Test
    void systemTurnAfterTheQuestion_doesNotHideIt() {
        assertThat(new Conversation(List.of(user("Hi"), SYSTEM)).instruction(any -> true))
                .isEqualTo(new Instruction("Hi", Optional.of("Be brief.")));
    }

    @Test
    void withoutAQuestionToAnswer_isRefused() {
        assertThatThrownBy(() -> new Conversation(List.of(user("Hi"), assistant("Hello"))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("assistant");
        assertThatThrownBy(() -> new Conversation(List.of(SYSTEM)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("none of them is the user's");
    }
}
