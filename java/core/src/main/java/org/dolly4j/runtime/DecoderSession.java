package org.dolly4j.runtime;

import java.nio.FloatBuffer;

/**
 * A KV cache of one model, and the steps over it. All but {@link #abort} and {@link #close} belong to one thread.
 * Implemented by native code; an interface so that scheduling is tested without a model.
 */
public interface DecoderSession extends AutoCloseable {
    /** Tokens of a KV block. */
    int BLOCK_SIZE = 16;

    /** KV blocks of the cache. */
    int blockCount();

    /** Most rows a step may have. */
    int maxRows();

    /** Most rows of a step that may want logits. */
    int maxLogitsRows();

    /** Length of a logits row. */
    int vocabSize();

    /**
     * Runs one step: appends the rows' keys and values to the cache and computes logits.
     *
     * @return float32 logits, row-major [{@link Batch#logitsCount()}, {@link #vocabSize()}], valid until the next step
     * @throws org.dolly4j.BackendException if the backend fails or the step was aborted
     * @throws IllegalStateException after close
     */
    FloatBuffer step(Batch batch);

    /**
     * As {@link #step(Batch)}, and shows the residual stream.
     *
     * @param hidden direct buffer of native byte order that is filled from its position on, which stays, with float32
     *     [layers + 2, rows, hidden size]: embedding, output of each block, final norm
     * @throws IllegalArgumentException if the buffer is not direct, read-only, of another byte order, or too small
     */
    FloatBuffer step(Batch batch, FloatBuffer hidden);

    /** Copies a KV block, all layers. */
    void copyBlock(int source, int target);

    /** Makes the running step, or the next one if none runs, end soon with an exception; safe from any thread. */
    void abort();

    /** Frees the cache; idempotent, waits for a running step. */
    @Override
    void close();
}
