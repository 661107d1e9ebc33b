package org.dolly4j.examples;

import java.util.List;
import org.dolly4j.ContinuationScore;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;

/** Asks how likely given answers are, in place of writing one. */
public final class ScoreAnswers {
    private ScoreAnswers() {}

    public static void main(String[] arguments) {
        GenerationRequest question = GenerationRequest.forInstruction("What is the capital city of Thailand?")
                .build();
        List<String> answers = List.of("The capital of Thailand is Bangkok.", "The capital of Thailand is Paris.");
        try (Dolly dolly = Dolly.demo()) {
            for (ContinuationScore score : dolly.score(question, answers)) {
                System.out.printf("%8.2f  %s%n", score.logprob(), score.continuation());
            }
        }
    }
}
