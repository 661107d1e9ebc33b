package org.dolly4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ExamplesTest {
    @Test
    void answerQuestion_printsTheAnswer() {
        // It is drawn, but top-p leaves the demo model one token at each step.
        assertThat(output(AnswerQuestion::main)).isEqualTo("The capital of Thailand is Bangkok.\n");
    }

    @Test
    void streamAnswer_printsTheAnswerThenItsBeginning() {
        String[] lines = output(StreamAnswer::main).split("\n", -1);
        assertThat(lines[0]).contains("Photosynthesis is the process by which plants use sunlight");
        assertThat(lines[1]).matches("\\d+ tokens, \\d+ ms");
        assertThat(lines[0]).startsWith(lines[2].replace(" ...", ""));
    }

    @Test
    void severalAnswers_areTheSameEachTime() {
        String first = output(SeveralAnswers::main);
        assertThat(first.lines().filter(line -> line.matches(" {2}\\([A-Z]+\\)")))
                .hasSize(3);
        assertThat(output(SeveralAnswers::main)).isEqualTo(first);
    }

    @Test
    void askAboutText_findsBothFactsInTheText() {
        assertThat(output(AskAboutText::main)).contains("1963", "Kofi Kim");
    }

    @Test
    void classifyRows_answersInTheOrderOfTheRows() {
        assertThat(output(ClassifyRows::main))
                .contains("pilot: Pilot is a profession.", "football: Football is a sport.", "teacher: Teacher is a");
    }

    @Test
    void scoreAnswers_findsTheRightOneLikelier() {
        String[] lines = output(ScoreAnswers::main).strip().split("\n", -1);
        assertThat(lines).hasSize(2);
        assertThat(lines[0]).endsWith("  The capital of Thailand is Bangkok.");
        assertThat(logprob(lines[0])).isGreaterThan(logprob(lines[1]));
    }

    private static double logprob(String line) {
        String trimmed = line.strip();
        return Double.parseDouble(trimmed.substring(0, trimmed.indexOf(' ')));
    }

    @Test
    void chat_answersEachQuestion() {
        assertThat(output(Chat::main)).contains("The capital of Nigeria is Abuja.", "> Name the antonym of up.");
    }

    @Test
    void everyExample_isRunHere() throws Exception {
        try (Stream<Path> files = Files.list(Path.of("src/main/java/org/dolly4j/examples"))) {
            Set<String> examples = files.map(
                            file -> file.getFileName().toString().replace(".java", ""))
                    .collect(Collectors.toSet());
            assertThat(examples)
                    .containsExactlyInAnyOrder(
                            "AnswerQuestion",
                            "StreamAnswer",
                            "SeveralAnswers",
                            "AskAboutText",
                            "ClassifyRows",
                            "ScoreAnswers",
                            "Chat");
        }
    }

    private interface Main {
        void run(String[] arguments);
    }

    private static synchronized String output(Main main) {
        PrintStream previous = System.out;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            main.run(new String[0]);
        } finally {
            System.setOut(previous);
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
