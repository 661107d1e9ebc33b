package org.dolly4j.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * {@code clean_up_tokenization} of transformers over text that comes in pieces: takes away the space before
 * punctuation and English contractions.
 *
 * <p>It is ten replacements, one after the other over the whole text. Each is a stage here that holds back only what
 * may yet become its pattern, so that the pieces put together are what the replacements make of the whole.
 */
final class SpaceCleaner {
    private static final List<String> PATTERNS =
            List.of(" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're");

    private final List<Stage> stages = new ArrayList<>();

    SpaceCleaner() {
        for (String pattern : PATTERNS) {
            stages.add(new Stage(pattern, pattern.strip()));
        }
    }

    /** The cleaned text that is certain after this piece. */
    String append(String piece) {
        CharSequence text = piece;
        for (Stage stage : stages) {
            if (text.isEmpty()) {
                return "";
            }
            StringBuilder out = new StringBuilder();
            stage.append(text, out);
            text = out;
        }
        return text.toString();
    }

    /** Ends the text: the rest of it, cleaned. */
    String finish() {
        CharSequence text = "";
        for (Stage stage : stages) {
            StringBuilder out = new StringBuilder();
            stage.append(text, out);
            stage.finish(out);
            text = out;
        }
        return text.toString();
    }

    /** Replaces one pattern, leftmost first. A space stands only at the start of patterns, and at their end. */
    private static final class Stage {
        private final String pattern;
        private final String replacement;

        /** Length of the start of the pattern that is held back. */
        private int held;

        Stage(String pattern, String replacement) {
            this.pattern = pattern;
            this.replacement = replacement;
        }

        void append(CharSequence text, StringBuilder out) {
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c != pattern.charAt(held)) {
                    // No proper end of what was held starts the pattern: its only space is the first character.
                    out.append(pattern, 0, held);
                    held = 0;
                }
                if (c != pattern.charAt(held)) {
                    out.append(c);
                } else if (++held == pattern.length()) {
                    out.append(replacement);
                    held = 0;
                }
            }
        }

        void finish(StringBuilder out) {
            out.append(pattern, 0, held);
            held = 0;
        }
    }
}
