package org.dolly4j.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.dolly4j.DollyException;

/**
 * The streams of a run.
 *
 * @param in standard input
 * @param inputIsTerminal whether a person would have to type it
 * @param out standard output
 * @param err standard error
 * @param colours whether to colour standard output
 */
record Console(InputStream in, boolean inputIsTerminal, Output out, PrintWriter err, boolean colours) {
    /** The console of this process. Makes {@link System#err}, where the log goes, UTF-8 too. */
    static Console system() {
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        System.setErr(err);
        return new Console(
                System.in,
                Terminal.isTerminal(Terminal.INPUT),
                new Output(new FileOutputStream(FileDescriptor.out), Terminal.isPipe(Terminal.OUTPUT)),
                new PrintWriter(new OutputStreamWriter(err, StandardCharsets.UTF_8), true),
                Terminal.wantsColours());
    }

    /**
     * All of standard input, without the line breaks at its end.
     *
     * @throws DollyException if it cannot be read or is not UTF-8
     */
    String readInput() {
        try {
            return decode(in.readAllBytes(), "Standard input").replaceFirst("[\\r\\n]+$", "");
        } catch (IOException e) {
            throw new DollyException("Standard input cannot be read: " + e.getMessage(), e);
        }
    }

    /**
     * Decodes UTF-8.
     *
     * @param source what the bytes are, for the message
     * @throws DollyException if they are something else
     */
    static String decode(byte[] bytes, String source) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new DollyException(source + " is not UTF-8 text; convert it, for example with iconv.", e);
        }
    }
}
