package org.dolly4j.examples;

import java.util.stream.Stream;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.GenerationResult;
import org.dolly4j.TextPiece;
import org.dolly4j.sampling.SamplingOptions;

/** Prints an answer while it is made: by a callback, and by a stream that is left early. */
public final class StreamAnswer {
    private StreamAnswer() {}

    public static void main(String[] arguments) {
        GenerationRequest request = GenerationRequest.forInstruction("how do plants make food?")
                .sampling(SamplingOptions.greedy())
                .build();
        try (Dolly dolly = Dolly.demo()) {
            GenerationResult result = dolly.generate(request, piece -> System.out.print(piece.text()));
            System.out.println();
            System.out.println(result.completionTokens() + " tokens, "
                    + result.timings().total().toMillis() + " ms");

            // Closing the stream cancels the request: the rest is never computed.
            try (Stream<TextPiece> pieces = dolly.stream(request)) {
                pieces.limit(3).forEach(piece -> System.out.print(piece.text()));
            }
            System.out.println(" ...");
        }
    }
}
