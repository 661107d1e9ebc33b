package org.dolly4j.cli;

import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** Options of every command. */
final class CommonOptions {
    private static final String VERBOSE = "--verbose";

    @Option(
            names = {"-v", VERBOSE},
            description = "Say more on standard error: the log, what an answer took, stack traces of errors.")
    boolean verbose;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help.")
    boolean help;

    @Option(
            names = {"-V", "--version"},
            versionHelp = true,
            description = "Show the version.")
    boolean version;

    /** Whether --verbose stands anywhere on the command line. */
    static boolean verbose(ParseResult parsed) {
        return parsed.asCommandLineList().stream()
                .anyMatch(command -> command.getParseResult().matchedOptionValue(VERBOSE, false));
    }
}
