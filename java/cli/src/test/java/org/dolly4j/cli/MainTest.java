package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.FilterInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;

class MainTest {
    @Test
    void help_listsCommandsAndGroupsOfOptions() {
        Run run = Run.of("--help");

        assertThat(run.exitCode()).isZero();
        assertThat(run.out())
                .contains(
                        "score",
                        "tokenize",
                        "info",
                        "download",
                        "convert",
                        "check",
                        "cache",
                        "--greedy",
                        "--model",
                        "Sampling",
                        "Exit codes");
        assertThat(run.err()).isEmpty();
    }

    @Test
    void commands_haveHelpOfTheirOwn() {
        for (String command :
                List.of("score", "tokenize", "info", "download", "convert", "check", "cache", "cache clear")) {
            Run run = Run.of((command + " --help").split(" "));

            assertThat(run.exitCode()).isZero();
            assertThat(run.out()).startsWith("Usage: dolly " + command);
        }
    }

    @Test
    void version_isThatOfTheBuild() {
        Run run = Run.of("--version");

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines().get(0)).matches("dolly4j [0-9]+\\.[0-9]+\\.[0-9]+.*");
    }

    @Test
    void tooLittleMemory_isOneSentence() {
        InputStream tooMuch = new FilterInputStream(InputStream.nullInputStream()) {
            @Override
            public byte[] readAllBytes() {
                throw new OutOfMemoryError("Java heap space");
            }
        };
        StringWriter err = new StringWriter();
        Output out = new Output(OutputStream.nullOutputStream(), false);
        Console console = new Console(tooMuch, false, out, new PrintWriter(err, true), false, false);

        assertThat(Main.commandLine(console).execute("--greedy")).isEqualTo(1);
        assertThat(err.toString().lines())
                .singleElement()
                .asString()
                .contains("Java heap space", "DOLLY4J_JAVA_OPTS=-Xmx4g");
    }

    @Test
    void noColours_whereNotWanted() {
        assertThat(Run.of("--help").out()).doesNotContain("\u001b");
    }
}
