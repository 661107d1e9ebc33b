package org.dolly4j.examples;

import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.sampling.SamplingOptions;

/** Asks about a text that is given as context. */
public final class AskAboutText {
    private AskAboutText() {}

    public static void main(String[] arguments) {
        String text = "Every year Montreal hosts the Vieed, a music festival. It is organized by Kofi Kim. Visitors pay"
                + " $77.95 for a ticket. The first one was in 1963.";
        GenerationRequest request = GenerationRequest.forInstruction("List the first year and the organizer.", text)
                .sampling(SamplingOptions.greedy())
                .build();
        try (Dolly dolly = Dolly.demo()) {
            System.out.println(dolly.generate(request).text());
        }
    }
}
