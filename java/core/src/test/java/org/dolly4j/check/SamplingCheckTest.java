package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SamplingCheckTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens/sampling");

    @Test
    void everyCaseOfHuggingFacePasses() {
        List<CheckReport> reports = SamplingCheck.run(GOLDENS);

        assertThat(reports).extracting(CheckReport::part).containsExactly("sampling/sampling", "sampling/processors");
        assertThat(reports).flatExtracting(CheckReport::failures).isEmpty();
        assertThat(reports).flatExtracting(CheckReport::skips).isEmpty();
        assertThat(reports).extracting(CheckReport::passed).containsExactly(328, 48);
    }

    @Test
    void anotherResultFails(@TempDir Path folder) throws IOException {
        List<String> lines = Files.readAllLines(GOLDENS.resolve("sampling.jsonl"));
        String nucleus = lines.get(30);
        String penalty = lines.get(91);
        Files.write(
                folder.resolve("sampling.jsonl"),
                List.of(
                        nucleus,
                        nucleus.replace("\"top_p\":0.92", "\"top_p\":0.5"),
                        penalty.replace("1.2", "1.2001"),
                        penalty.replace("RepetitionPenalty", "Other"),
                        penalty.replace("repetition_penalty", "unheard_of"),
                        penalty.replace("\"name\"", "\"title\"").replace("\"eos\"", "\"end\"")));

        CheckReport report = SamplingCheck.run(folder).get(0);

        assertThat(report.passed()).isEqualTo(1);
        assertThat(report.failures()).hasSize(5);
        assertThat(report.failures().get(0)).startsWith("030-wide-top_p: keeps ");
        assertThat(report.failures().get(1)).startsWith("091-wide-repetition_penalty: score ");
        assertThat(report.failures().get(2)).contains("processors are");
        assertThat(report.failures().get(3)).contains("unknown option unheard_of");
        assertThat(report.failures().get(4))
                .isEqualTo("line 6: " + folder.resolve("sampling.jsonl") + ": line 6 lacks the field 'eos'");
    }

    @Test
    void beamSearch_isSkippedByName(@TempDir Path folder) throws IOException {
        Files.write(folder.resolve("beam.jsonl"), List.of("{}", "{}"));

        assertThat(SamplingCheck.run(folder)).singleElement().satisfies(report -> {
            assertThat(report.part()).isEqualTo("sampling/beam");
            assertThat(report.passed()).isZero();
            assertThat(report.skips()).containsExactly("beam.jsonl, 2 cases: beam search: not supported yet");
        });
    }
}
