package org.dolly4j.fuzz;

/** The bytes are config.json; generation_config.json, of which it may hold the values, is read with it. */
public final class ConfigTarget {
    private static final ModelFolder FOLDER = new ModelFolder("model.safetensors");

    private ConfigTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        FOLDER.write("config.json", data);
        FOLDER.open();
    }
}
