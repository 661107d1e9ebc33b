package org.dolly4j.prompt;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * A chat, and the one meaning it has for a model that knows a single instruction: the last user turn is the
 * instruction; the system text and the turns before it are the context, as lines {@code User: ...} and
 * {@code Assistant: ...} under the system text.
 *
 * @param turns in order; the last one that is not a system turn is the user's
 */
public record Conversation(List<Turn> turns) {
    /**
     * Copies and checks the turns.
     *
     * @throws IllegalArgumentException if no user turn is left to answer, or the last one is the assistant's
     */
    public Conversation {
        turns = List.copyOf(turns);
        Role last = Role.SYSTEM;
        for (Turn turn : turns) {
            last = turn.role() == Role.SYSTEM ? last : turn.role();
        }
        if (last != Role.USER) {
            throw new IllegalArgumentException(
                    "A conversation ends with the user's turn, which is the instruction; this"
                            + " one has " + turns.size() + " turns and "
                            + (last == Role.SYSTEM ? "none of them is the user's." : "ends with the assistant's."));
        }
    }

    /** Who says a turn. */
    public enum Role {
        /** Standing orders and background. */
        SYSTEM,
        /** Who asks. */
        USER,
        /** The model. */
        ASSISTANT
    }

    /**
     * Something said.
     *
     * @param role by whom
     * @param text what
     */
    public record Turn(Role role, String text) {}

    /**
     * What a conversation asks of the model.
     *
     * @param text the last user turn
     * @param context system text and earlier turns, if there are any
     */
    public record Instruction(String text, Optional<String> context) {}

    /**
     * The instruction of this conversation with as many of the latest earlier turns as fit. The oldest exchange (a user
     * turn and the answers to it) goes first; the system text and the instruction itself always stay.
     *
     * @param fits whether an instruction is short enough; asked for longer ones first
     * @return the longest that fits, or else the shortest there is
     */
    public Instruction instruction(Predicate<Instruction> fits) {
        List<Turn> said = said();
        int question = said.size() - 1;
        for (int first = 0; first < question; first = nextExchange(said, first)) {
            Instruction instruction = instruction(said.subList(first, question), said.get(question));
            if (fits.test(instruction)) {
                return instruction;
            }
        }
        return instruction(List.of(), said.get(question));
    }

    /** The last user turn. */
    public String question() {
        List<Turn> said = said();
        return said.get(said.size() - 1).text();
    }

    private List<Turn> said() {
        return turns.stream().filter(turn -> turn.role() != Role.SYSTEM).toList();
    }

    private static int nextExchange(List<Turn> said, int first) {
        int next = first + 1;
        while (said.get(next).role() == Role.ASSISTANT) {
            next++;
        }
        return next;
    }

    private Instruction instruction(List<Turn> earlier, Turn question) {
        List<String> lines = new ArrayList<>();
        for (Turn turn : turns) {
            if (turn.role() == Role.SYSTEM && !turn.text().isBlank()) {
                lines.add(turn.text());
            }
        }
        for (Turn turn : earlier) {
            lines.add((turn.role() == Role.USER ? "User: " : "Assistant: ") + turn.text());
        }
        return new Instruction(
                question.text(), lines.isEmpty() ? Optional.empty() : Optional.of(String.join("\n", lines)));
    }
}
