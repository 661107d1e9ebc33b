package org.dolly4j.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
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
 * @param errorIsTerminal whether a line of it can be written over
 * @param colours whether to colour standard output
 */
record Console(
        InputStream in,
        boolean inputIsTerminal,
        Output out,
        PrintWriter err,
        boolean errorIsTerminal,
        boolean colours) {
    private static final char BYTE_ORDER_MARK = '\uFEFF';

    /** The console of this process. Makes {@link System#err}, where the log goes, UTF-8 too. */
    static Console system() {
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        System.setErr(err);
        return new Console(
                System.in,
                Terminal.isTerminal(Terminal.INPUT),
                new Output(new FileOutputStream(FileDescriptor.out), Terminal.isPipe(Terminal.OUTPUT)),
                new PrintWriter(new OutputStreamWriter(err, StandardCharsets.UTF_8), true),
                Terminal.isTerminal(Terminal.ERROR),
                Terminal.wantsColours());
    }

    /**
     * All of standard input, as {@link #text} takes it.
     *
     * @throws DollyException if it cannot be read or is not UTF-8
     */
    String readInput() {
        try {
            return text(in.readAllBytes(), "Standard input");
        } catch (IOException e) {
            throw new DollyException("Standard input cannot be read: " + e.getMessage(), e);
        }
    }

    /**
     * The text of a file without the line breaks at its end, which a shell's {@code $(cat FILE)} drops too, and without
     * the byte order mark that some editors put first.
     *
     * @param bytes the file, in UTF-8
     * @param source what it is, for the message
     * @throws DollyException if it is not UTF-8
     */
    static String text(byte[] bytes, String source) {
        CharBuffer text;
        try {
            text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));
        } catch (CharacterCodingException e) {
            throw new DollyException(source + " is not UTF-8 text; convert it, for example with iconv.", e);
        }
        int start = text.length() > 0 && text.get(0) == BYTE_ORDER_MARK ? 1 : 0;
        int end = text.length();
        while (end > start && (text.get(end - 1) == '\n' || text.get(end - 1) == '\r')) {
            end--;
        }
        return text.subSequence(start, end).toString();
    }
}
