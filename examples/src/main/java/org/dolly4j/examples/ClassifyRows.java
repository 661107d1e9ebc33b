package org.dolly4j.examples;

import java.util.List;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.GenerationResult;
import org.dolly4j.sampling.SamplingOptions;

/** Classifies the rows of a table in one call. */
public final class ClassifyRows {
    private ClassifyRows() {}

    public static void main(String[] arguments) {
        List<String> rows = List.of("pilot", "football", "teacher");
        List<GenerationRequest> requests = rows.stream()
                .map(row -> GenerationRequest.forInstruction("Classify " + row + " as a profession or a sport.")
                        .sampling(SamplingOptions.greedy())
                        .maxNewTokens(32)
                        .build())
                .toList();
        try (Dolly dolly = Dolly.demo()) {
            List<GenerationResult> results = dolly.generateAll(requests);
            for (int i = 0; i < rows.size(); i++) {
                System.out.println(rows.get(i) + ": " + results.get(i).text());
            }
        }
    }
}
