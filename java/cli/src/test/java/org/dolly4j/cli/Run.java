package org.dolly4j.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * A run of the command line within this process.
 *
 * @param exitCode its exit code
 * @param out what it wrote to standard output
 * @param err what it wrote to standard error
 */
record Run(int exitCode, String out, String err) {
    /** Runs with a terminal as standard input, on which nobody types. */
    static Run of(String... args) {
        return run("", true, args);
    }

    /** Runs with a file or pipe as standard input. */
    static Run withInput(String input, String... args) {
        return run(input, false, args);
    }

    private static Run run(String input, boolean terminal, String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StringWriter err = new StringWriter();
        Console console = new Console(
                new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)),
                terminal,
                new Output(out, false),
                new PrintWriter(err, true),
                false,
                false);
        int exitCode = Main.commandLine(console).execute(args);
        return new Run(exitCode, out.toString(StandardCharsets.UTF_8), err.toString());
    }

    /** The lines of standard output. */
    List<String> lines() {
        return out.lines().toList();
    }
}
