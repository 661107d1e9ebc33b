package org.dolly4j.runtime;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.concurrent.locks.ReentrantLock;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.PointerPointer;

/** A session of the native library. */
final class NativeSession implements DecoderSession {
    private final DecoderModel model;
    private final SessionHandle handle;
    private final int blocks;
    private final int maxRows;
    private final int maxLogitsRows;
    /** Kept by the garbage collector, so that a buffer a caller still holds after close stays readable. */
    private final FloatBuffer logits;

    /** Held while native code runs a step; {@link #close} waits for it. */
    private final ReentrantLock running = new ReentrantLock();
    /** Guards {@link #freed} against {@link #abort}. */
    private final Object lifetime = new Object();

    private final NativeStep step = new NativeStep();
    private Batch bound;
    private volatile boolean closed;
    private boolean freed;

    private NativeSession(DecoderModel model, SessionHandle handle, int blocks, int maxRows, int maxLogitsRows) {
        this.model = model;
        this.handle = handle;
        this.blocks = blocks;
        this.maxRows = maxRows;
        this.maxLogitsRows = maxLogitsRows;
        this.logits = ByteBuffer.allocateDirect(maxLogitsRows * model.spec().vocabSize() * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        step.logits(new FloatPointer(logits));
    }

    static NativeSession create(DecoderModel model, ModelHandle handle, int blocks, int maxRows, int maxLogitsRows) {
        long logitsBytes = (long) maxLogitsRows * model.spec().vocabSize() * Float.BYTES;
        if (logitsBytes > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("maxLogitsRows = " + maxLogitsRows + " rows of the vocabulary of "
                    + model.spec().vocabSize() + " tokens are " + logitsBytes
                    + " bytes of logits; a session holds at most "
                    + Integer.MAX_VALUE);
        }
        try (NativeSessionOptions options = new NativeSessionOptions();
                PointerPointer<SessionHandle> result = new PointerPointer<>(1)) {
            options.blocks(blocks).max_rows(maxRows).max_logits_rows(maxLogitsRows);
            NativeLibrary.check(NativeApi.d4j_session_create(handle, options, result));
            SessionHandle session = result.get(SessionHandle.class);
            try {
                return new NativeSession(model, session, blocks, maxRows, maxLogitsRows);
            } catch (RuntimeException | Error e) {
                NativeApi.d4j_session_free(session);
                throw e;
            }
        }
    }

    @Override
    public int blockCount() {
        return blocks;
    }

    @Override
    public int maxRows() {
        return maxRows;
    }

    @Override
    public int maxLogitsRows() {
        return maxLogitsRows;
    }

    @Override
    public int vocabSize() {
        return model.spec().vocabSize();
    }

    @Override
    public FloatBuffer step(Batch batch) {
        run(batch, new FloatPointer());
        return logits.slice(0, batch.logitsCount() * vocabSize());
    }

    @Override
    public FloatBuffer step(Batch batch, FloatBuffer hidden) {
        long needed =
                (long) (model.spec().layers() + 2) * batch.rows() * model.spec().hiddenSize();
        requireHidden(hidden.isDirect(), "is on the heap; a direct one is needed");
        requireHidden(!hidden.isReadOnly(), "is read-only");
        requireHidden(hidden.order() == ByteOrder.nativeOrder(), "has another byte order than this machine");
        requireHidden(
                hidden.remaining() >= needed,
                "has room for " + hidden.remaining() + " floats; " + needed + " are needed");
        try {
            // A slice, since JavaCPP would take the buffer's position for a number of bytes.
            run(batch, new FloatPointer(hidden.slice()));
        } finally {
            Reference.reachabilityFence(hidden);
        }
        return logits.slice(0, batch.logitsCount() * vocabSize());
    }

    private static void requireHidden(boolean condition, String fault) {
        if (!condition) {
            throw new IllegalArgumentException("The buffer for hidden states " + fault);
        }
    }

    private void run(Batch batch, FloatPointer hidden) {
        running.lock();
        try {
            checkOpen();
            if (bound != batch) {
                bind(batch);
            }
            step.rows(batch.rows())
                    .sequences(batch.sequences())
                    .block_table_stride(batch.maxBlocksPerSequence())
                    .logits_count(batch.logitsCount())
                    .hidden(hidden);
            NativeLibrary.check(NativeApi.d4j_session_step(handle, step));
        } finally {
            running.unlock();
        }
    }

    /** Points the step at the batch's buffers, which stay where they are for the life of the batch. */
    private void bind(Batch batch) {
        step.tokens(new IntPointer(batch.tokens()))
                .positions(new IntPointer(batch.positions()))
                .sequence_starts(new IntPointer(batch.sequenceStarts()))
                .context_lengths(new IntPointer(batch.contextLengths()))
                .block_tables(new IntPointer(batch.blockTables()))
                .logits_rows(new IntPointer(batch.logitsRows()));
        bound = batch;
    }

    @Override
    public void copyBlock(int source, int target) {
        running.lock();
        try {
            checkOpen();
            NativeLibrary.check(NativeApi.d4j_session_copy_block(handle, source, target));
        } finally {
            running.unlock();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The session is closed");
        }
    }

    @Override
    public void abort() {
        synchronized (lifetime) {
            if (!freed) {
                NativeApi.d4j_session_abort(handle);
            }
        }
    }

    @Override
    public void close() {
        closed = true;
        abort();
        running.lock();
        try {
            synchronized (lifetime) {
                if (freed) {
                    return;
                }
                freed = true;
                NativeApi.d4j_session_free(handle);
                step.close();
            }
        } finally {
            running.unlock();
        }
        model.sessionClosed();
    }
}
