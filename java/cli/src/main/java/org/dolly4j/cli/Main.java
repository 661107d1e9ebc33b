package org.dolly4j.cli;

import java.io.PrintWriter;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.RunLast;

/** The program {@code dolly}. */
public final class Main {
    private static final String LOG_LEVEL = "org.slf4j.simpleLogger.defaultLogLevel";

    private Main() {}

    /** Runs a command line and ends the process with its exit code: 0 done, 1 failed, 2 used wrongly. */
    public static void main(String[] args) {
        System.exit(commandLine(Console.system()).execute(args));
    }

    /** The command line on a console. */
    static CommandLine commandLine(Console console) {
        CommandLine commands = new CommandLine(new AskCommand(console))
                .addSubcommand(new ScoreCommand(console))
                .addSubcommand(new TokenizeCommand(console))
                .addSubcommand(new InfoCommand(console))
                .addSubcommand(new DownloadCommand(console))
                .addSubcommand(new ConvertCommand(console))
                .addSubcommand(new CheckCommand(console))
                .addSubcommand(
                        new CommandLine(new CacheCommand(console)).addSubcommand(new ClearCacheCommand(console)));
        ErrorMessages errors = new ErrorMessages();
        return commands.setExpandAtFiles(false) // an instruction may begin with @
                .setOut(console.out().writer())
                .setErr(console.err())
                .setColorScheme(Help.defaultColorScheme(console.colours() ? Ansi.ON : Ansi.OFF))
                .setUsageHelpAutoWidth(true)
                .setParameterExceptionHandler(errors)
                .setExecutionExceptionHandler(errors)
                .setExecutionStrategy(Main::run);
    }

    private static int run(ParseResult parsed) {
        for (ParseResult one = parsed; one.hasSubcommand(); one = one.subcommand()) {
            requireNothingBefore(one);
        }
        if (CommonOptions.verbose(parsed)) {
            System.setProperty(LOG_LEVEL, "debug");
        }
        try {
            return new RunLast().execute(parsed);
        } catch (OutOfMemoryError e) {
            PrintWriter err = parsed.commandSpec().commandLine().getErr();
            err.println("dolly: Java has too little memory for this (" + e.getMessage() + "). Ask for less at once, or"
                    + " give it more, for example by DOLLY4J_JAVA_OPTS=-Xmx4g.");
            return ExitCode.SOFTWARE;
        }
    }

    /** What stands before a command's name would silently be ignored, and the name may be part of an instruction. */
    private static void requireNothingBefore(ParseResult parsed) {
        String command = parsed.subcommand().commandSpec().name();
        if (parsed.matchedPositionals().isEmpty() && parsed.matchedOptions().isEmpty()) {
            return;
        }
        List<String> all = parsed.originalArgs();
        boolean outermost = parsed.commandSpec().parent() == null;
        String found = all.get(outermost ? 0 : all.indexOf(parsed.commandSpec().name()) + 1);
        throw new ParameterException(
                parsed.commandSpec().commandLine(),
                "'" + found + "' stands before the command '" + command + "'. Put options after the command; put an"
                        + " instruction of several words in quotes, and one that is the name of a command after --.");
    }
}
