package org.dolly4j;

import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

/** The demo model, and instructions that it knows answers to. */
final class DemoQuestions {
    static final Path MODEL = Path.of("../demo-model/src/main/resources/org/dolly4j/demo");
    static final Path EVALUATION = Path.of("src/test/resources/demo/dolly-demo-eval.jsonl");

    private DemoQuestions() {}

    static List<String> instructions() throws IOException {
        return Files.readAllLines(EVALUATION).stream()
                .map(line -> JsonParser.parseString(line)
                        .getAsJsonObject()
                        .get("instruction")
                        .getAsString())
                .toList();
    }

    /** A text about some of the instructions, which answers may quote. */
    static String context(int lines) throws IOException {
        return Files.readAllLines(EVALUATION).stream()
                .limit(lines)
                .map(line -> JsonParser.parseString(line)
                        .getAsJsonObject()
                        .get("expected")
                        .getAsString())
                .collect(Collectors.joining(" "));
    }
}
