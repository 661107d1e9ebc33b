package org.dolly4j.runtime;

import java.util.List;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.SlotRows;

/** The weights of a model in native memory. Thread-safe. */
public final class DecoderModel implements AutoCloseable {
    private DecoderModel() {}

    /**
     * Loads weights.
     *
     * @param spec shape of the decoder
     * @param rows where every slot of the spec comes from
     * @param options how to hold and run it
     * @throws org.dolly4j.CheckpointException if weights are missing, out of bounds, or not finite
     * @throws org.dolly4j.BackendException if the backend or device is not available
     */
    public static DecoderModel load(DecoderSpec spec, List<SlotRows> rows, ModelOptions options) {
        throw new UnsupportedOperationException(spec + " " + rows + " " + options);
    }

    /** Shape of the decoder. */
    public DecoderSpec spec() {
        throw new UnsupportedOperationException();
    }

    /** Bytes of native memory that the weights take. */
    public long weightBytes() {
        throw new UnsupportedOperationException();
    }

    /** Bytes of KV cache per block of {@link DecoderSession#BLOCK_SIZE} tokens. */
    public long blockBytes() {
        throw new UnsupportedOperationException();
    }

    /**
     * Makes a session.
     *
     * @param blocks KV blocks of {@link DecoderSession#BLOCK_SIZE} tokens
     * @param maxRows most rows of a step
     * @param maxLogitsRows most rows of a step that want logits
     */
    public DecoderSession newSession(int blocks, int maxRows, int maxLogitsRows) {
        throw new UnsupportedOperationException();
    }

    /** Frees the weights once no session uses them; idempotent. */
    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }
}
