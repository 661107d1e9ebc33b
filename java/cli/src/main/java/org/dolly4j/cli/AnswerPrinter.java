package org.dolly4j.cli;

import java.util.ArrayList;
import java.util.List;
import org.dolly4j.Generation;
import org.dolly4j.GenerationResult;
import org.dolly4j.TextPiece;

/**
 * Prints answers as text, an empty line between them. Of several that come at once, the first is shown as it comes and
 * the others are held back until it is their turn.
 */
final class AnswerPrinter {
    private final Output out;
    private final List<StringBuilder> heldBack = new ArrayList<>();
    private final boolean[] ended;
    private int shown;

    /** @param answers how many answers there will be */
    AnswerPrinter(Output out, int answers) {
        this.out = out;
        this.ended = new boolean[answers];
        for (int i = 0; i < answers; i++) {
            heldBack.add(new StringBuilder());
        }
    }

    /** Adds a piece of one of them. */
    void add(TextPiece piece) {
        heldBack.get(piece.sequence()).append(piece.text());
        ended[piece.sequence()] |= piece.finishReason().isPresent();
        while (shown < ended.length) {
            StringBuilder text = heldBack.get(shown);
            if (!text.isEmpty()) {
                out.print(text.toString());
                text.setLength(0);
            }
            if (!ended[shown]) {
                return;
            }
            shown++;
            out.print(shown < ended.length ? "\n\n" : "\n");
        }
    }

    /**
     * Prints all answers of a result.
     *
     * @param index how many results were printed before it
     */
    static void print(Output out, int index, GenerationResult result) {
        String separator = index == 0 ? "" : "\n";
        for (Generation answer : result.generations()) {
            out.print(separator + answer.text() + "\n");
            separator = "\n";
        }
    }
}
