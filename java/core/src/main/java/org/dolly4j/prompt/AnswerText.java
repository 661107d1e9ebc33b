package org.dolly4j.prompt;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The answer as its text comes in pieces: ends it at a stop string or at an end key spelt out, holds back what may yet
 * turn out to be one, and drops white space at both ends. What it has shown stays; the pieces joined are the answer.
 * For one answer and one thread.
 */
public final class AnswerText {
    private static final String SPACE = "[" + PythonWhitespace.CLASS + "]*";
    private static final Pattern END = Pattern.compile("#+" + SPACE + "End");
    private static final Pattern START_OF_END = Pattern.compile("#+" + SPACE + "(?:En?)?\\z");

    private final Rules rules;
    private final StringBuilder held = new StringBuilder();
    private final StringBuilder heldSpace = new StringBuilder();
    private boolean shownAnything;
    private Ending ending = Ending.NONE;

    /** @param rules what ends and trims the answer */
    public AnswerText(Rules rules) {
        this.rules = rules;
    }

    /**
     * What ends and trims an answer.
     *
     * @param stopStrings texts that end it, none empty; they are not part of it
     * @param endsAtSpeltKey whether the first match of {@code #+\s*End} ends it, for tokenizers without an end key
     * @param trims whether white space at both ends is dropped
     */
    public record Rules(List<String> stopStrings, boolean endsAtSpeltKey, boolean trims) {
        /** Copies the list. */
        public Rules {
            stopStrings = List.copyOf(stopStrings);
            if (stopStrings.contains("")) {
                throw new IllegalArgumentException(
                        "A stop string is empty: it would end every answer at once. Leave it out.");
            }
        }

        /** Whether the text can end an answer at all. */
        public boolean canEnd() {
            return endsAtSpeltKey || !stopStrings.isEmpty();
        }
    }

    /** What in the text ended an answer. */
    public enum Ending {
        /** Nothing did yet. */
        NONE,
        /** A stop string. */
        STOP_STRING,
        /** An end key spelt out in ordinary tokens. */
        SPELT_KEY
    }

    /**
     * Adds text.
     *
     * @param piece next piece of the raw text
     * @return what is certain now and was not shown before, maybe empty; always empty once the answer has ended
     */
    public String append(String piece) {
        if (ending != Ending.NONE) {
            return "";
        }
        held.append(piece);
        int end = held.length();
        for (String stop : rules.stopStrings) {
            int at = held.indexOf(stop);
            if (at >= 0 && at < end) {
                end = at;
                ending = Ending.STOP_STRING;
            }
        }
        if (rules.endsAtSpeltKey) {
            Matcher key = END.matcher(held);
            if (key.find() && key.start() < end) {
                end = key.start();
                ending = Ending.SPELT_KEY;
            }
        }
        return show(ending == Ending.NONE ? certainLength() : end);
    }

    /** Ends the answer, if nothing has yet, and returns what was held back and belongs to it, maybe empty. */
    public String finish() {
        return ending == Ending.NONE ? show(held.length()) : "";
    }

    /** What in the text ended the answer. */
    public Ending ending() {
        return ending;
    }

    private int certainLength() {
        int certain = held.length();
        for (String stop : rules.stopStrings) {
            certain = Math.min(certain, held.length() - overlap(stop));
        }
        if (rules.endsAtSpeltKey) {
            Matcher start = START_OF_END.matcher(held);
            if (start.find()) {
                certain = Math.min(certain, start.start());
            }
        }
        return certain;
    }

    /** Length of the longest end of the held text that a stop string starts with. */
    private int overlap(String stop) {
        for (int length = Math.min(stop.length() - 1, held.length()); length > 0; length--) {
            if (stop.startsWith(held.substring(held.length() - length))) {
                return length;
            }
        }
        return 0;
    }

    private String show(int length) {
        String text = held.substring(0, length);
        held.delete(0, length);
        if (!rules.trims) {
            return text;
        }
        int end = text.length();
        while (end > 0 && PythonWhitespace.is(text.charAt(end - 1))) {
            end--;
        }
        if (end == 0) {
            heldSpace.append(text);
            return "";
        }
        int start = 0;
        while (!shownAnything && PythonWhitespace.is(text.charAt(start))) {
            start++;
        }
        String shown = (shownAnything ? heldSpace.toString() : "") + text.substring(start, end);
        heldSpace.setLength(0);
        heldSpace.append(text, end, text.length());
        shownAnything = true;
        return shown;
    }
}
