package org.dolly4j.fuzz;

import org.dolly4j.CheckpointException;
import org.dolly4j.tokenizer.Tokenizer;

/** The bytes are tokenizer.json; what can be loaded makes tokens of a text, and text of the tokens. */
public final class TokenizerTarget {
    private static final String TEXT = "The capital of Peru: \u00e9\ud83c\udf89 ### End\n\n  1234 x'll";
    private static final ModelFolder FOLDER = new ModelFolder();

    private TokenizerTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        FOLDER.write("tokenizer.json", data);
        try {
            Tokenizer tokenizer = Tokenizer.load(FOLDER.path());
            int[] ids = tokenizer.encode(TEXT);
            tokenizer.decode(ids, false);
            tokenizer.decode(tokenizer.encodeAsText(TEXT), true);
        } catch (CheckpointException e) {
            FOLDER.requireUseful(e);
        }
    }
}
