package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
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
        JsonObject generate = firstLine("generate.jsonl");
        generate.getAsJsonArray("rows").get(0).getAsJsonObject().addProperty("answer", "another");
        JsonObject stop = firstLine("stop_strings.jsonl");
        stop.getAsJsonArray("generated_ids").remove(0);
        JsonObject postprocess = firstLine("postprocess.jsonl");
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
            Files.writeString(folder.resolve(file), firstLine(file) + "\n");
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

    @Test
    void checkpointThatCannotBeLoaded_failsItsCasesAndTheOthersAreRun(@TempDir Path folder) throws IOException {
        copyCheckpoint(folder);
        Path broken = Files.createDirectories(folder.resolve("checkpoints/dolly-tiny-broken"));
        Files.writeString(broken.resolve("config.json"), "{}");
        JsonObject line = firstLine("generate.jsonl");
        JsonObject onBroken = line.deepCopy();
        onBroken.addProperty("checkpoint", "dolly-tiny-broken");
        Files.writeString(folder.resolve("generate.jsonl"), onBroken + "\n" + line + "\n");

        CheckReport report =
                PipelineCheck.run(folder, TestTokenizers.folder(), OPTIONS).get(0);

        assertThat(report.failures())
                .singleElement()
                .asString()
                .startsWith("line 1: ")
                .contains("dolly-tiny-broken");
        assertThat(report.passed()).isEqualTo(line.getAsJsonArray("rows").size());
    }

    @Test
    void lineThatLacksAField_failsByFileLineAndField(@TempDir Path folder) throws IOException {
        copyCheckpoint(folder);
        JsonObject line = firstLine("generate.jsonl");
        JsonObject noStopIds = line.deepCopy();
        noStopIds.remove("stop_ids");
        JsonObject noAnswer = line.deepCopy();
        JsonObject row = noAnswer.getAsJsonArray("rows").get(0).getAsJsonObject();
        row.remove("answer");
        row.addProperty("generated_ids", "many");
        Files.writeString(folder.resolve("generate.jsonl"), noStopIds + "\n" + line + "\n" + noAnswer + "\n");
        Files.writeString(folder.resolve("postprocess.jsonl"), "{\"tokenizer\": \"dolly-tokenizer\"}\n");

        List<CheckReport> reports = PipelineCheck.run(folder, TestTokenizers.folder(), OPTIONS);

        Path generate = folder.resolve("generate.jsonl");
        assertThat(reports.get(0).failures())
                .containsExactly(
                        "line 1: " + generate + ": line 1 lacks the field 'stop_ids'",
                        "line 3: " + generate + ": line 3, rows[0]: the field 'generated_ids' should be a list of"
                                + " whole numbers but is \"many\"");
        assertThat(reports.get(0).passed()).isEqualTo(1);
        assertThat(reports.get(1).failures())
                .containsExactly("line 1: " + folder.resolve("postprocess.jsonl") + ": line 1 lacks the field 'ids'");
    }

    private static JsonObject firstLine(String file) throws IOException {
        return JsonParser.parseString(Files.readAllLines(GOLDENS.resolve(file)).get(0))
                .getAsJsonObject();
    }

    private static void copyCheckpoint(Path folder) throws IOException {
        Path copy = Files.createDirectories(folder.resolve("checkpoints/dolly-tiny-ends"));
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(GOLDENS.resolve("checkpoints/dolly-tiny-ends").resolve(file), copy.resolve(file));
        }
    }
}
