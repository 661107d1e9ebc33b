package org.dolly4j.examples;

import org.dolly4j.Dolly;
import org.dolly4j.Generation;
import org.dolly4j.GenerationRequest;
import org.dolly4j.sampling.SamplingOptions;

/** Draws several answers to one instruction; the same seed gives the same answers. */
public final class SeveralAnswers {
    private SeveralAnswers() {}

    public static void main(String[] arguments) {
        GenerationRequest request = GenerationRequest.forInstruction("Write a two-line poem about the sea.")
                .sampling(SamplingOptions.builder()
                        .doSample(true)
                        .temperature(0.8)
                        .topP(0.9)
                        .build())
                .sequences(3)
                .maxNewTokens(60)
                .seed(2023)
                .build();
        try (Dolly dolly = Dolly.demo()) {
            for (Generation answer : dolly.generate(request).generations()) {
                System.out.println(answer.text());
                System.out.println("  (" + answer.finishReason() + ")");
            }
        }
    }
}
