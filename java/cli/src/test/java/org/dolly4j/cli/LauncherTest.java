package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The script {@code dolly}, in a checkout that is built, with a Java that prints its arguments. */
class LauncherTest {
    private static final Path SCRIPT = Path.of("../../dolly");

    @TempDir
    Path folder;

    private Path root;

    private record Ended(int code, String out, String err) {}

    @BeforeEach
    void buildCheckout() throws IOException {
        root = folder.resolve("a checkout");
        for (String sources : List.of(
                "java/core/src/main",
                "java/cli/src/main",
                "java/demo-model/src/main",
                "native/include",
                "native/src",
                "cmake",
                "java/cli/target")) {
            Files.createDirectories(root.resolve(sources));
        }
        for (String file : List.of("pom.xml", "java/cli/pom.xml", "native/CMakeLists.txt", "native/build.sh")) {
            Files.createFile(root.resolve(file));
        }
        Files.copy(SCRIPT, root.resolve("dolly"));
        Files.createFile(root.resolve("java/cli/target/dolly4j-cli.jar"));
        java(
                """
                for argument; do
                  case $argument in
                  -version) echo 'openjdk version "17.0.1"' >&2; exit ;;
                  -XX:ArchiveClassesAtExit=*) echo made >>"$MADE"; echo classes >"${argument#*=}"; exit ;;
                  esac
                done
                printf '%s\\n' "$@"
                """);
    }

    @Test
    void classesAreArchivedOnceAndMappedFromThenOn() throws Exception {
        Ended first = dolly();
        Ended second = dolly();

        assertThat(second).isEqualTo(first);
        assertThat(first.code).isZero();
        assertThat(first.out.lines())
                .startsWith("-XX:+UseSerialGC", "-Djdk.http.auth.tunneling.disabledSchemes=", "-Xshare:auto")
                .anyMatch(line -> line.matches("-XX:SharedArchiveFile=.*/a checkout/.*\\.jsa"))
                .endsWith(root.resolve("java/cli/target/dolly4j-cli.jar").toString(), "--seed", "two words");
        assertThat(folder.resolve("made")).hasContent("made");
    }

    @Test
    void newJar_isArchivedAnew() throws Exception {
        dolly();
        Path jar = root.resolve("java/cli/target/dolly4j-cli.jar");
        Files.setLastModifiedTime(jar, FileTime.fromMillis(System.currentTimeMillis() + 60_000));

        dolly();

        assertThat(folder.resolve("made")).hasContent("made\nmade");
    }

    @Test
    void javaThatCannotArchive_runsWithout() throws Exception {
        java(
                """
                for argument; do
                  case $argument in
                  -version) echo 'openjdk version "17.0.1"' >&2; exit ;;
                  -XX:ArchiveClassesAtExit=*) echo made >>"$MADE"; echo 'unknown option'; exit 1 ;;
                  esac
                done
                printf '%s\\n' "$@"
                """);

        Ended first = dolly();

        assertThat(first.code).isZero();
        assertThat(first.err).isEmpty();
        assertThat(first.out).doesNotContain("Archive").contains("two words");
        assertThat(dolly()).isEqualTo(first);
        assertThat(folder.resolve("made")).hasContent("made");
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '`',
            value = {
                "echo 'no memory' >&2; exit 1, does not start: no memory",
                "echo 'openjdk version \"11.0.2\"' >&2, Java 17 or later is needed"
            })
    void javaThatCannotRunIt_isSaid(String script, String message) throws Exception {
        java(script + "\n");

        Ended ended = dolly();

        assertThat(ended.code).isEqualTo(1);
        assertThat(ended.err).startsWith("dolly: ").contains(message);
    }

    private void java(String script) throws IOException {
        Path file = folder.resolve("jdk/bin/java");
        Files.createDirectories(file.getParent());
        Files.writeString(file, "#!/bin/sh\n" + script);
        assertThat(file.toFile().setExecutable(true)).isTrue();
    }

    private Ended dolly() throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(root.resolve("dolly").toString(), "--seed", "two words");
        builder.environment()
                .putAll(Map.of(
                        "JAVA_HOME", folder.resolve("jdk").toString(),
                        "MADE", folder.resolve("made").toString()));
        builder.environment().remove("DOLLY4J_JAVA_OPTS");
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        builder.redirectOutput(out.toFile()).redirectError(err.toFile());
        int code = builder.start().waitFor();
        return new Ended(
                code, Files.readString(out, StandardCharsets.UTF_8), Files.readString(err, StandardCharsets.UTF_8));
    }
}
