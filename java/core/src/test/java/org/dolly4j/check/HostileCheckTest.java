package org.dolly4j.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dolly4j.DollyOptions;
import org.dolly4j.JavaProcess;
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

    /** Loads all goldens. */
    static final class All {
        public static void main(String[] folder) throws IOException {
            CheckReport report = HostileCheck.run(Path.of(folder[0]), DollyOptions.defaults());
            String most = Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(line -> line.startsWith("VmHWM:"))
                    .findFirst()
                    .orElseThrow();
            System.out.println(report.passed() + " passed in " + most.replaceAll("\\D", "") + " kB");
        }
    }

    @Test
    void goldens_takeLittleMemoryOfAllKinds() throws Exception {
        Matcher output = Pattern.compile("13 passed in ([0-9]+) kB")
                .matcher(new JavaProcess(All.class, GOLDENS.toString()).output());
        assertThat(output.find()).isTrue();
        assertThat(Long.parseLong(output.group(1))).isLessThan(1L << 20);
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
