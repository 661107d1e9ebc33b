package org.dolly4j.check;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.dolly4j.prompt.AnswerText;
import org.dolly4j.prompt.PromptKeys;
import org.dolly4j.prompt.PythonWhitespace;
import org.dolly4j.tokenizer.StreamDecoder;
import org.dolly4j.tokenizer.Tokenizer;

/**
 * The answer in a finished sequence, prompt and answer together, as {@code postprocess} of databricks' {@code
 * instruct_pipeline.py} finds it, but for its quirk of falling back to patterns where the answer is empty. A model that
 * is asked knows where its prompt ends and looks for no response key; that is what this adds. From there on the tokens
 * take the way of every answer, through {@link StreamDecoder} and {@link AnswerText}.
 */
final class SequenceAnswer {
    private static final Pattern RESPONSE = Pattern.compile("#+[" + PythonWhitespace.CLASS + "]*Response:");

    private final StreamDecoder decoder;
    private final AnswerText answer;
    private final StringBuilder text = new StringBuilder();

    private SequenceAnswer(Tokenizer tokenizer, boolean endsAtSpeltKey) {
        decoder = tokenizer.newStreamDecoder(false);
        answer = new AnswerText(new AnswerText.Rules(List.of(), endsAtSpeltKey, true));
    }

    /**
     * The text between the first response key and the first end key, without white space at its ends. If both are
     * special tokens of the tokenizer, the keys are these tokens, and an end key before the response key leaves an
     * empty answer; otherwise they are the first matches of {@code #+\s*Response:} and, after it, {@code #+\s*End}. A
     * missing end key means the end of the sequence.
     *
     * @param ids prompt and answer
     * @return empty if there is no response key
     */
    static Optional<String> find(Tokenizer tokenizer, int[] ids) {
        OptionalInt response = tokenizer.firstSpecialTokenStartingWith(PromptKeys.RESPONSE_KEY);
        OptionalInt end = tokenizer.tokenId(PromptKeys.END_KEY);
        return response.isPresent() && end.isPresent()
                ? new SequenceAnswer(tokenizer, false).betweenTokens(ids, response.getAsInt(), end.getAsInt())
                : new SequenceAnswer(tokenizer, true).betweenPatterns(ids);
    }

    private Optional<String> betweenTokens(int[] ids, int response, int end) {
        int start = indexOf(ids, response);
        if (start == ids.length) {
            return Optional.empty();
        }
        IntStream.range(start + 1, indexOf(ids, end)).forEach(i -> add(decoder.append(ids[i])));
        add(decoder.finish());
        return Optional.of(finish());
    }

    private Optional<String> betweenPatterns(int[] ids) {
        StringBuilder before = new StringBuilder();
        boolean found = false;
        for (int i = 0; i <= ids.length; i++) {
            String piece = i < ids.length ? decoder.append(ids[i]) : decoder.finish();
            if (found) {
                add(piece);
                continue;
            }
            Matcher response = RESPONSE.matcher(before.append(piece));
            if (response.find()) {
                found = true;
                add(before.substring(response.end()));
            }
        }
        return found ? Optional.of(finish()) : Optional.empty();
    }

    private void add(String piece) {
        text.append(answer.append(piece));
    }

    private String finish() {
        return text.append(answer.finish()).toString();
    }

    private static int indexOf(int[] ids, int id) {
        return IntStream.range(0, ids.length)
                .filter(i -> ids[i] == id)
                .findFirst()
                .orElse(ids.length);
    }
}
