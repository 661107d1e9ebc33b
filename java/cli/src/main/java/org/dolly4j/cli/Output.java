package org.dolly4j.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Serial;
import java.nio.charset.StandardCharsets;

/** Standard output: UTF-8 whatever the locale, written through at once, and loud about failures. */
final class Output {
    private final OutputStream stream;
    private final boolean pipe;

    /**
     * @param stream where bytes go
     * @param pipe whether a failure to write means that the reader has had enough
     */
    Output(OutputStream stream, boolean pipe) {
        this.stream = stream;
        this.pipe = pipe;
    }

    /** Text could not be written. */
    static final class WriteException extends RuntimeException {
        @Serial
        private static final long serialVersionUID = 1L;

        private final boolean readerGone;

        WriteException(IOException cause, boolean readerGone) {
            super("Cannot write to standard output: " + cause.getMessage(), cause);
            this.readerGone = readerGone;
        }

        /** Whether the reader of a pipe has ended, which is no failure ({@code dolly ... | head -1}). */
        boolean readerGone() {
            return readerGone;
        }
    }

    /** Writes text; a {@link WriteException} says that it cannot. */
    void print(String text) {
        try {
            stream.write(text.getBytes(StandardCharsets.UTF_8));
            stream.flush();
        } catch (IOException e) {
            throw new WriteException(e, pipe);
        }
    }

    /** Writes a line. */
    void println(String line) {
        print(line + "\n");
    }

    /** The same output as a writer, which keeps failures to itself. */
    PrintWriter writer() {
        return new PrintWriter(new OutputStreamWriter(stream, StandardCharsets.UTF_8), true);
    }
}
