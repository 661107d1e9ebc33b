package org.dolly4j.fuzz;

import java.util.Arrays;
import java.util.List;

/** The bytes are vocab.json, merges.txt and tokenizer_config.json, with a zero byte between one and the next. */
public final class VocabularyTarget {
    private static final List<String> NAMES = List.of("vocab.json", "merges.txt", "tokenizer_config.json");
    private static final ModelFolder FOLDER = new ModelFolder();

    private VocabularyTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        int begin = 0;
        for (int i = 0; i < NAMES.size(); i++) {
            int end = begin;
            while (end < data.length && (data[end] != 0 || i == NAMES.size() - 1)) {
                end++;
            }
            FOLDER.write(NAMES.get(i), Arrays.copyOfRange(data, begin, end));
            begin = Math.min(end + 1, data.length);
        }
        FOLDER.useTokenizer();
    }
}
