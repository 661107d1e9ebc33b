package org.dolly4j.runtime;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.dolly4j.BackendException;

/**
 * A session without a model. Its KV cache holds the tokens themselves, and the logits of a row are a fixed function of
 * all tokens that the row can see through its block table: a wrong block, a missing copy or a stale position changes
 * them, or is reported at once.
 */
public final class FakeDecoderSession implements DecoderSession {
    private static final int EMPTY = -1;

    private final int vocabSize;
    private final int maxRows;
    private final int maxLogitsRows;
    private final int[] cachedTokens;
    private final int[] cachedPositions;
    private final FloatBuffer logits;
    private final AtomicInteger steps = new AtomicInteger();
    private final Semaphore permits = new Semaphore(0);
    private volatile Duration timePerStep = Duration.ZERO;
    private volatile Duration timePerRow = Duration.ZERO;
    private volatile boolean gated;
    private volatile boolean aborted;
    private volatile boolean closed;
    private volatile boolean failing;
    private volatile boolean failingCopy;
    private volatile boolean failingPlan;
    private volatile Thread owner;
    private final AtomicInteger copies = new AtomicInteger();
    private volatile int mostRows;
    private volatile int mostSequences;

    /** A cache of so many blocks, and the limits of a step. */
    public FakeDecoderSession(int vocabSize, int blocks, int maxRows, int maxLogitsRows) {
        this.vocabSize = vocabSize;
        this.maxRows = maxRows;
        this.maxLogitsRows = maxLogitsRows;
        cachedTokens = new int[blocks * BLOCK_SIZE];
        cachedPositions = new int[blocks * BLOCK_SIZE];
        Arrays.fill(cachedPositions, EMPTY);
        logits = ByteBuffer.allocateDirect(maxLogitsRows * vocabSize * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    /** The logits that follow some tokens. */
    public static float[] logitsAfter(int[] tokens, int count, int vocabSize) {
        long hash = 0x9E3779B97F4A7C15L;
        for (int i = 0; i < count; i++) {
            hash = mix(hash ^ (tokens[i] + 1L));
        }
        float[] row = new float[vocabSize];
        for (int i = 0; i < vocabSize; i++) {
            row[i] = (mix(hash + i) >>> 40) / (float) (1 << 22);
        }
        return row;
    }

    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** Makes a step take so long for each of its rows. */
    public FakeDecoderSession withTimePerRow(Duration time) {
        timePerRow = time;
        return this;
    }

    /** Makes a step take so long beside what its rows take. */
    public FakeDecoderSession withTimePerStep(Duration time) {
        timePerStep = time;
        return this;
    }

    /** Makes every step wait for {@link #letRun}. */
    public FakeDecoderSession gated() {
        gated = true;
        return this;
    }

    /** Lets so many steps run. */
    public void letRun(int steps) {
        permits.release(steps);
    }

    /** Has the next question for {@link #maxRows} fail, which the engine asks when it plans a step. */
    public void failPlanning() {
        failingPlan = true;
    }

    /** Makes the next step fail. */
    public void failNextStep() {
        failing = true;
    }

    /** Makes the next copy of a block fail. */
    public void failNextCopy() {
        failingCopy = true;
    }

    /** Steps begun so far. */
    public int steps() {
        return steps.get();
    }

    /** Blocks copied so far. */
    public int copies() {
        return copies.get();
    }

    /** Rows of the largest step so far. */
    public int mostRows() {
        return mostRows;
    }

    /** Sequences of the widest step so far. */
    public int mostSequences() {
        return mostSequences;
    }

    /** Whether the session was closed. */
    public boolean isClosed() {
        return closed;
    }

    @Override
    public int blockCount() {
        return cachedTokens.length / BLOCK_SIZE;
    }

    @Override
    public int maxRows() {
        if (failingPlan) {
            failingPlan = false;
            throw new IllegalStateException("deliberate");
        }
        return maxRows;
    }

    @Override
    public int maxLogitsRows() {
        return maxLogitsRows;
    }

    @Override
    public int vocabSize() {
        return vocabSize;
    }

    @Override
    public FloatBuffer step(Batch batch) {
        checkThread();
        steps.incrementAndGet();
        waitForPermit();
        long end = System.nanoTime() + timePerStep.toNanos() + timePerRow.toNanos() * batch.rows();
        while (System.nanoTime() < end) {
            LockSupport.parkNanos(end - System.nanoTime()); // may return early
        }
        if (failing) {
            failing = false;
            throw new BackendException("The fake backend was told to fail.");
        }
        mostRows = Math.max(mostRows, batch.rows());
        mostSequences = Math.max(mostSequences, batch.sequences());
        for (int i = 0; i < logits.capacity(); i++) {
            logits.put(i, Float.NaN);
        }
        int logitsRow = 0;
        for (int s = 0; s < batch.sequences(); s++) {
            for (int row = batch.sequenceStarts().get(s);
                    row < batch.sequenceStarts().get(s + 1);
                    row++) {
                int position = batch.positions().get(row);
                int slot = slot(batch, s, position);
                cachedTokens[slot] = batch.tokens().get(row);
                cachedPositions[slot] = position;
            }
            for (int row = batch.sequenceStarts().get(s);
                    row < batch.sequenceStarts().get(s + 1);
                    row++) {
                if (logitsRow < batch.logitsCount() && batch.logitsRows().get(logitsRow) == row) {
                    int[] seen = seenFrom(batch, s, batch.positions().get(row));
                    logits.put(logitsRow++ * vocabSize, logitsAfter(seen, seen.length, vocabSize));
                }
            }
        }
        return logits.duplicate().position(0).limit(logitsRow * vocabSize);
    }

    @Override
    public FloatBuffer step(Batch batch, FloatBuffer hidden) {
        throw new UnsupportedOperationException("the fake has no residual stream");
    }

    private int[] seenFrom(Batch batch, int sequence, int lastPosition) {
        int[] seen = new int[lastPosition + 1];
        for (int position = 0; position <= lastPosition; position++) {
            int slot = slot(batch, sequence, position);
            if (cachedPositions[slot] != position) {
                throw new AssertionError("position " + position + " of sequence " + sequence + " is not in slot " + slot
                        + ", which holds position " + cachedPositions[slot]);
            }
            seen[position] = cachedTokens[slot];
        }
        return seen;
    }

    private static int slot(Batch batch, int sequence, int position) {
        int entry = sequence * batch.maxBlocksPerSequence() + position / BLOCK_SIZE;
        return batch.blockTables().get(entry) * BLOCK_SIZE + position % BLOCK_SIZE;
    }

    private void waitForPermit() {
        try {
            while (gated && !permits.tryAcquire(5, TimeUnit.MILLISECONDS)) {
                if (aborted) {
                    throw new BackendException("The step was aborted.");
                }
            }
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    public void copyBlock(int source, int target) {
        checkThread();
        copies.incrementAndGet();
        if (failingCopy) {
            failingCopy = false;
            throw new BackendException("The fake backend was told to fail to copy.");
        }
        System.arraycopy(cachedTokens, source * BLOCK_SIZE, cachedTokens, target * BLOCK_SIZE, BLOCK_SIZE);
        System.arraycopy(cachedPositions, source * BLOCK_SIZE, cachedPositions, target * BLOCK_SIZE, BLOCK_SIZE);
    }

    private void checkThread() {
        if (closed) {
            throw new IllegalStateException("The session is closed.");
        }
        if (owner == null) {
            owner = Thread.currentThread();
        } else if (owner != Thread.currentThread()) {
            throw new AssertionError("two threads use the session: " + owner + " and " + Thread.currentThread());
        }
    }

    @Override
    public void abort() {
        aborted = true;
    }

    @Override
    public void close() {
        closed = true;
    }
}
