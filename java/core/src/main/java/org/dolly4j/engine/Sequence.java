package org.dolly4j.engine;

import java.util.Arrays;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;

/** Tokens of a prompt or of a prompt and its answer, how many of them are in the KV cache, and in which blocks. */
final class Sequence {
    private final DecoderSession session;
    private final BlockPool pool;
    private final int[] tokens;
    private final int[] blockTable;
    private int length;
    private int cached;
    private int blocks;

    private Sequence(DecoderSession session, BlockPool pool, int[] tokens, int length) {
        this.session = session;
        this.pool = pool;
        this.tokens = tokens;
        this.length = length;
        blockTable = new int[blocksFor(tokens.length)];
    }

    /** A prompt of which nothing is cached yet. */
    static Sequence ofPrompt(int[] prompt, DecoderSession session, BlockPool pool) {
        return new Sequence(session, pool, prompt, prompt.length);
    }

    /** Blocks that hold a number of tokens. */
    static int blocksFor(int tokens) {
        return (tokens + DecoderSession.BLOCK_SIZE - 1) / DecoderSession.BLOCK_SIZE;
    }

    /** A sequence that starts with these tokens, has room for more, and shares the blocks until it writes to them. */
    Sequence fork(int room) {
        Sequence fork = new Sequence(session, pool, Arrays.copyOf(tokens, length + room), length);
        fork.cached = cached;
        fork.blocks = blocks;
        for (int i = 0; i < blocks; i++) {
            fork.blockTable[i] = blockTable[i];
            pool.retain(blockTable[i]);
        }
        return fork;
    }

    int length() {
        return length;
    }

    int cached() {
        return cached;
    }

    /** All tokens; the first {@link #length} count. */
    int[] tokens() {
        return tokens;
    }

    void append(int token) {
        tokens[length++] = token;
    }

    /**
     * Adds the next uncached tokens to a batch, to be cached by its step.
     *
     * @param count how many
     * @param wantsLogits whether the last of them wants logits
     */
    void addRows(Batch batch, int count, boolean wantsLogits) {
        int end = cached + count;
        for (int block = cached / DecoderSession.BLOCK_SIZE; block < blocksFor(end); block++) {
            makeWritable(block);
        }
        batch.beginSequence(cached, blockTable, blocks);
        for (; cached < end; cached++) {
            batch.addRow(tokens[cached], wantsLogits && cached == end - 1);
        }
    }

    private void makeWritable(int index) {
        if (index == blocks) {
            blockTable[blocks++] = pool.allocate();
        } else if (pool.isShared(blockTable[index])) {
            int copy = pool.allocate();
            try {
                session.copyBlock(blockTable[index], copy);
            } catch (RuntimeException | Error e) {
                pool.release(copy);
                throw e;
            }
            pool.release(blockTable[index]);
            blockTable[index] = copy;
        }
    }

    /** Gives the blocks back; the sequence is of no more use. */
    void release() {
        while (blocks > 0) {
            pool.release(blockTable[--blocks]);
        }
    }
}
