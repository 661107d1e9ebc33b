package org.dolly4j.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.dolly4j.DollyException;
import picocli.CommandLine;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** What a user reads when something goes wrong: one line, and a stack trace with --verbose only. */
final class ErrorMessages implements IParameterExceptionHandler, IExecutionExceptionHandler {
    /** As a shell reports a program that SIGINT or SIGPIPE ended. */
    static final int INTERRUPTED = 130;

    static final int READER_GONE = 141;

    @Override
    public int handleParseException(ParameterException failure, String[] args) {
        CommandLine command = failure.getCommandLine();
        PrintWriter err = command.getErr();
        if (failure instanceof UnmatchedArgumentException unmatched) {
            sayUnmatched(unmatched, err);
        } else {
            err.println("dolly: " + oneSentence(failure.getMessage()));
        }
        err.println("See " + command.getCommandSpec().qualifiedName() + " --help");
        return ExitCode.USAGE;
    }

    @Override
    public int handleExecutionException(Exception failure, CommandLine command, ParseResult parsed) {
        if (failure instanceof Output.WriteException write && write.readerGone()) {
            return READER_GONE;
        }
        if (OpenModel.isInterrupted() || failure instanceof CancellationException) {
            return INTERRUPTED;
        }
        PrintWriter err = command.getErr();
        if (CommonOptions.verbose(parsed)) {
            failure.printStackTrace(err);
        }
        if (failure instanceof IllegalArgumentException) {
            err.println("dolly: " + OptionNames.inMessage(failure.getMessage()));
            return ExitCode.USAGE;
        }
        if (failure instanceof DollyException || failure instanceof Output.WriteException) {
            err.println("dolly: " + OptionNames.inMessage(failure.getMessage()));
        } else {
            err.println("dolly: this should not have happened: " + failure
                    + ". Please report it with the stack trace that --verbose shows.");
        }
        return ExitCode.SOFTWARE;
    }

    private static void sayUnmatched(UnmatchedArgumentException unmatched, PrintWriter err) {
        String first = unmatched.getUnmatched().get(0);
        if (unmatched.isUnknownOption()) {
            List<String> suggestions = unmatched.getSuggestions();
            err.println("dolly: there is no option " + first
                    + (suggestions.isEmpty() ? "." : ". Did you mean " + String.join(" or ", suggestions) + "?"));
            return;
        }
        CommandSpec command = unmatched.getCommandLine().getCommandSpec();
        err.println("dolly: there is one argument too many: '" + first + "'. Put a text of several words in quotes."
                + (command.subcommands().isEmpty()
                        ? ""
                        : " (Commands are "
                                + String.join(", ", command.subcommands().keySet()) + ".)"));
    }

    private static String oneSentence(String message) {
        return message.replaceFirst("^Error: ", "").replaceAll("\\s*\\R\\s*", " ");
    }
}
