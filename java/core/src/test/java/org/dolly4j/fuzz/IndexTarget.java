package org.dolly4j.fuzz;

/** The bytes are the index of safetensors files, of which there is one. */
public final class IndexTarget {
    private static final String SHARD = "model-00001-of-00002.safetensors";
    private static final ModelFolder FOLDER = folder();

    private IndexTarget() {}

    private static ModelFolder folder() {
        ModelFolder folder = new ModelFolder("config.json");
        folder.copy("model.safetensors", SHARD);
        return folder;
    }

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        FOLDER.write("model.safetensors.index.json", data);
        FOLDER.open();
    }
}
