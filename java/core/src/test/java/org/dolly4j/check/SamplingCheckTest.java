package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dolly4j.DollyOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SamplingCheckTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens/sampling");

    @Test
    void everyCaseOfHuggingFacePasses() {
        List<CheckReport> reports = SamplingCheck.run(GOLDENS, DollyOptions.defaults());

        assertThat(reports)
                .extracting(CheckReport::part)
                .containsExactly("sampling/sampling", "sampling/processors", "sampling/beam", "sampling/logprobs");
        assertThat(reports).flatExtracting(CheckReport::failures).isEmpty();
        assertThat(reports).flatExtracting(CheckReport::skips).isEmpty();
        assertThat(reports).extracting(CheckReport::passed).containsExactly(328, 48, 52, 16);
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

        CheckReport report = SamplingCheck.run(folder, DollyOptions.defaults()).get(0);

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
    void otherAnswersAndLogprobsFail(@TempDir Path folder) throws IOException {
        Path sampling = Files.createDirectory(folder.resolve("sampling"));
        Path checkpoints = Files.createDirectories(folder.resolve("models/checkpoints"));
        String name = "neox-v5config-odd";
        Files.createSymbolicLink(
                checkpoints.resolve(name),
                GOLDENS.resolveSibling("models")
                        .resolve("checkpoints")
                        .resolve(name)
                        .toAbsolutePath());
        String beam = lineOf("beam", name);
        String logprobs = lineOf("logprobs", name);
        Files.write(
                sampling.resolve("beam.jsonl"),
                List.of(
                        beam,
                        beam.replaceFirst("\"sequences\": \\[\\[", "$0 7, "),
                        beam.replaceFirst("\"scores\": \\[-", "$02")));
        Files.write(
                sampling.resolve("logprobs.jsonl"),
                List.of(
                        logprobs,
                        logprobs.replaceFirst("\"logprobs\":\\[-", "$02"),
                        logprobs.replaceFirst("\"top_ids\":\\[", "$02"),
                        logprobs.replaceFirst("\"top_logprobs\":\\[-", "$02")));

        List<CheckReport> reports = SamplingCheck.run(sampling, DollyOptions.defaults());

        assertThat(reports).extracting(CheckReport::passed).containsExactly(1, 1);
        assertThat(reports.get(0).failures()).hasSize(2);
        assertThat(reports.get(0).failures().get(0)).startsWith("line 2: finds ");
        assertThat(reports.get(0).failures().get(1)).startsWith("line 3: score 0 is ");
        assertThat(reports.get(1).failures()).hasSize(3);
        assertThat(reports.get(1).failures().get(0)).startsWith("line 2: continuation 0: token 0 has ");
        assertThat(reports.get(1).failures().get(1)).contains("the likeliest at token 0 are ");
        assertThat(reports.get(1).failures().get(2)).contains("alternative 0 at token 0 has ");
    }

    private static String lineOf(String file, String checkpoint) throws IOException {
        return Files.readAllLines(GOLDENS.resolve(file + ".jsonl")).stream()
                .filter(line -> line.contains(checkpoint))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void beamsOfCheckpointsThatAreNotThere_areSkippedByName(@TempDir Path folder) throws IOException {
        String line = "{\"checkpoint\": \"gone\"}";
        Files.write(folder.resolve("beam.jsonl"), List.of(line, line));

        assertThat(SamplingCheck.run(folder, DollyOptions.defaults()))
                .singleElement()
                .satisfies(report -> {
                    assertThat(report.part()).isEqualTo("sampling/beam");
                    assertThat(report.passed()).isZero();
                    assertThat(report.skips()).singleElement().asString().startsWith("gone, 2 cases: no folder ");
                });
    }
}
