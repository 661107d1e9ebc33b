package org.dolly4j.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The bytes are a safetensors file; or, after an odd first byte, its header without the length, and before it the number
 * of bytes of the data, which are zeros.
 */
public final class SafetensorsTarget {
    private static final int MAX_DATA = 1 << 16;
    private static final ModelFolder FOLDER = new ModelFolder("config.json");

    private SafetensorsTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        boolean isHeader = in.remaining() >= 5 && (in.get() & 1) == 1;
        int zeros = isHeader ? Math.floorMod(in.getInt(), MAX_DATA) : 0;
        int length = isHeader ? Long.BYTES : 0;
        ByteBuffer file = ByteBuffer.allocate(length + in.remaining() + zeros).order(ByteOrder.LITTLE_ENDIAN);
        if (isHeader) {
            file.putLong(in.remaining());
        }
        file.put(in);
        FOLDER.write("model.safetensors", file.array());
        FOLDER.open();
    }
}
