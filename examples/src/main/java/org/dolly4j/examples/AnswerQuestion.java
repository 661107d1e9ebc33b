package org.dolly4j.examples;

import java.nio.file.Path;
import org.dolly4j.Dolly;

/** Answers one question. Arguments: the question, and a model folder unless the demo model is to answer. */
public final class AnswerQuestion {
    private AnswerQuestion() {}

    public static void main(String[] arguments) {
        String question = arguments.length > 0 ? arguments[0] : "What is the capital city of Thailand?";
        try (Dolly dolly = arguments.length > 1 ? Dolly.load(Path.of(arguments[1])) : Dolly.demo()) {
            System.out.println(dolly.generate(question));
        }
    }
}
