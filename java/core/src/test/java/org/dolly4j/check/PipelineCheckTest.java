package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.dolly4j.DollyOptions;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PipelineCheckTest {
    private static final Path GOLDENS = TestTokenizers.resource("/goldens/pipeline");

    /** One thread: the models are tiny, and threads that wait for each other only cost. */
    private static final DollyOptions OPTIONS =
            DollyOptions.builder().threads(1).build();

    @Test
    void goldens_allPass() {
        List<CheckReport> reports = PipelineCheck.run(GOLDENS, TestTokenizers.folder(), OPTIONS);
        assertThat(reports).flatExtracting(CheckReport::failures).isEmpty();
        assertThat(reports).flatExtracting(CheckReport::skips).isEmpty();
        assertThat(reports.stream().collect(Collectors.toMap(CheckReport::part, CheckReport::passed)))
                .isEqualTo(Map.of(
                        "pipeline/generate", 130,
                        "pipeline/generate_newline", 69,
                        "pipeline/generate_plain", 87,
                        "pipeline/postprocess", 102,
                        "pipeline/postprocess_newline", 58,
                        "pipeline/postprocess_plain", 58,
                        "pipeline/stop_strings", 7,
                        "pipeline/stop_strings_newline", 4,
                        "pipeline/stop_strings_plain", 5));
    }

    @Test
    void wrongTextsAndTokens_failByNameWithBothSides(@TempDir Path folder) throws IOException {
        copyCheckpoint(folder);
        JsonObject generate = Goldens.lines(GOLDENS.resolve("generate.jsonl")).get(0);
        generate.getAsJsonArray("rows").get(0).getAsJsonObject().addProperty("answer", "another");
        JsonObject stop = Goldens.lines(GOLDENS.resolve("stop_strings.jsonl")).get(0);
        stop.getAsJsonArray("generated_ids").remove(0);
        JsonObject postprocess =
                Goldens.lines(GOLDENS.resolve("postprocess.jsonl")).get(0);
        postprocess.addProperty("answer_first_keys", "another");
        Files.writeString(folder.resolve("generate.jsonl"), generate + "\n");
        Files.writeString(folder.resolve("stop_strings.jsonl"), stop + "\n");
        Files.writeString(folder.resolve("postprocess.jsonl"), postprocess + "\n");

        List<CheckReport> reports = PipelineCheck.run(folder, TestTokenizers.folder(), OPTIONS);
        assertThat(reports).flatExtracting(CheckReport::failures).hasSize(3);
        assertThat(reports.get(0).failures().get(0)).startsWith("line 1").contains("answer: expected 'another', found");
        assertThat(reports.get(1).failures().get(0)).contains("answer_first_keys: expected 'another', found");
        assertThat(reports.get(2).failures().get(0)).contains("generated_ids differ from index 0 on");
    }

    @Test
    void whatIsNotThere_isSkippedByName(@TempDir Path folder) throws IOException {
        for (String file : List.of("generate.jsonl", "postprocess.jsonl")) {
            Files.writeString(
                    folder.resolve(file), Goldens.lines(GOLDENS.resolve(file)).get(0) + "\n");
        }
        Files.writeString(folder.resolve("unheard_of.jsonl"), "{}\n");
        List<CheckReport> reports = PipelineCheck.run(folder, folder, OPTIONS);
        assertThat(reports).extracting(CheckReport::passed).containsOnly(0);
        assertThat(reports).flatExtracting(CheckReport::failures).isEmpty();
        assertThat(reports)
                .flatExtracting(CheckReport::skips)
                .anySatisfy(skip -> assertThat(skip).contains("dolly-tiny-ends"))
                .anySatisfy(skip -> assertThat(skip).contains("dolly-tokenizer"))
                .anySatisfy(skip -> assertThat(skip).contains("unheard_of"))
                .hasSize(3);
    }

    private static void copyCheckpoint(Path folder) throws IOException {
        Path copy = Files.createDirectories(folder.resolve("checkpoints/dolly-tiny-ends"));
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(GOLDENS.resolve("checkpoints/dolly-tiny-ends").resolve(file), copy.resolve(file));
        }
    }
}
