package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.dolly4j.DollyOptions;
import org.dolly4j.TestTokenizers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostileCheckTest {
    private static final Path GOLDENS = TestTokenizers.resource("/goldens/hostile");

    @TempDir
    private Path folder;

    @Test
    void goldens_endInAMessageThatNamesTheSpoiltFile_andTheValidOneAnswers() {
        CheckReport report = HostileCheck.run(GOLDENS, DollyOptions.defaults());

        assertThat(report.failures()).isEmpty();
        assertThat(report.skips()).isEmpty();
        assertThat(report.passed()).isEqualTo(13);
        assertThat(report.figures()).singleElement().asString().startsWith("at most ");
    }

    @Test
    void defectThatIsNotSeen_andErrorWhereNothingIsWrong_fail() throws IOException {
        copy("00-valid", "harmless");
        copy("10-config-negative-layers", "spoilt");
        copy("10-config-negative-layers", "elsewhere");
        Files.write(
                folder.resolve("manifest.jsonl"),
                List.of(
                        "{\"folder\": \"harmless\", \"file\": \"harmless/config.json\", \"what\": \"layers\"}",
                        "{\"folder\": \"spoilt\", \"file\": null, \"what\": \"nothing\"}",
                        "{\"folder\": \"elsewhere\", \"file\": \"elsewhere/tokenizer.json\", \"what\": \"merges\"}"));

        CheckReport report = HostileCheck.run(folder, DollyOptions.defaults());

        assertThat(report.passed()).isZero();
        assertThat(report.failures())
                .satisfiesExactly(
                        failure -> assertThat(failure).isEqualTo("harmless: was loaded, but layers"),
                        failure -> assertThat(failure)
                                .startsWith("spoilt: ended with '")
                                .endsWith("nothing is wrong there"),
                        failure -> assertThat(failure)
                                .contains("num_hidden_layers")
                                .endsWith("which does not begin with " + folder.resolve("elsewhere/tokenizer.json")));
    }

    private void copy(String golden, String name) throws IOException {
        Path copy = Files.createDirectory(folder.resolve(name));
        try (Stream<Path> files = Files.list(GOLDENS.resolve(golden))) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
    }
}
