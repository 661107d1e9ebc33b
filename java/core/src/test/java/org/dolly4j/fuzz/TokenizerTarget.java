package org.dolly4j.fuzz;

/** The bytes are tokenizer.json. */
public final class TokenizerTarget {
    private static final ModelFolder FOLDER = new ModelFolder();

    private TokenizerTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        FOLDER.write("tokenizer.json", data);
        FOLDER.useTokenizer();
    }
}
