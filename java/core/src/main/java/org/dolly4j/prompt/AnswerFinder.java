package org.dolly4j.prompt;

import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds the answer in a finished sequence, prompt and answer together, as {@code postprocess} of databricks' {@code
 * instruct_pipeline.py} does, but for its quirk of falling back to patterns where the answer is empty.
 */
public final class AnswerFinder {
    private static final String SPACE = "[" + PythonWhitespace.CLASS + "]*";
    private static final Pattern RESPONSE = Pattern.compile("#+" + SPACE + "Response:");
    private static final Pattern END = Pattern.compile("#+" + SPACE + "End");

    private final OptionalInt responseKey;
    private final OptionalInt endKey;
    private final OptionalInt eos;
    private final Function<int[], String> decode;

    /**
     * @param responseKey id of the response key; absent if it is no special token
     * @param endKey id of the end key; absent if it is no special token
     * @param eos id of the end-of-sequence token, dropped from the end of a sequence that is searched as text
     * @param decode turns ids into text, special tokens included
     */
    public AnswerFinder(OptionalInt responseKey, OptionalInt endKey, OptionalInt eos, Function<int[], String> decode) {
        this.responseKey = responseKey;
        this.endKey = endKey;
        this.eos = eos;
        this.decode = decode;
    }

    /**
     * The text between the first response key and the first end key, without white space at its ends. With special keys
     * these are tokens, and an end key before the response key leaves an empty answer; without, they are the first
     * matches of {@code #+\s*Response:} and, after it, {@code #+\s*End}. A missing end key means the end of the sequence.
     *
     * @param ids prompt and answer
     * @return empty if there is no response key
     */
    public Optional<String> find(int[] ids) {
        return responseKey.isPresent() && endKey.isPresent()
                ? findByTokens(ids, responseKey.getAsInt(), endKey.getAsInt())
                : findByPatterns(ids);
    }

    private Optional<String> findByTokens(int[] ids, int response, int end) {
        int start = indexOf(ids, response);
        if (start == ids.length) {
            return Optional.empty();
        }
        int stop = Math.max(start + 1, indexOf(ids, end));
        return Optional.of(PythonWhitespace.strip(decode.apply(Arrays.copyOfRange(ids, start + 1, stop))));
    }

    private Optional<String> findByPatterns(int[] ids) {
        boolean endsWithEos = ids.length > 0 && eos.isPresent() && ids[ids.length - 1] == eos.getAsInt();
        String text = decode.apply(endsWithEos ? Arrays.copyOf(ids, ids.length - 1) : ids);
        Matcher response = RESPONSE.matcher(text);
        if (!response.find()) {
            return Optional.empty();
        }
        Matcher end = END.matcher(text);
        int stop = end.find(response.end()) ? end.start() : text.length();
        return Optional.of(PythonWhitespace.strip(text.substring(response.end(), stop)));
    }

    private static int indexOf(int[] ids, int id) {
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] == id) {
                return i;
            }
        }
        return ids.length;
    }
}
