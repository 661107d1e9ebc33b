package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class MainTest {
    @Test
    void help_listsCommandsAndGroupsOfOptions() {
        Run run = Run.of("--help");

        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains("tokenize", "info", "check", "--greedy", "--model", "Sampling", "Exit codes");
        assertThat(run.err()).isEmpty();
    }

    @Test
    void commands_haveHelpOfTheirOwn() {
        for (String command : List.of("tokenize", "info", "check")) {
            Run run = Run.of(command, "--help");

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
    void noColours_whereNotWanted() {
        assertThat(Run.of("--help").out()).doesNotContain("\u001b");
    }
}
