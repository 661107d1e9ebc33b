package org.dolly4j.fuzz;

/** The bytes are pytorch_model.bin: a zip file, or pickles in the form before PyTorch 1.6. */
public final class TorchFileTarget {
    private static final ModelFolder FOLDER = new ModelFolder("config.json");

    private TorchFileTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        FOLDER.write("pytorch_model.bin", data);
        FOLDER.open();
    }
}
