package org.dolly4j.bench;

import java.nio.FloatBuffer;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;

/** Sequences of the same length, in a KV cache that has room for just them; steps run all of them or prefill one. */
final class SequenceBatch implements AutoCloseable {
    /** Rows of a prefill step, as the engine has them. */
    private static final int PREFILL_ROWS = 256;

    /** Whole blocks. */
    private static final int COMPUTED_TOKENS = 4 * DecoderSession.BLOCK_SIZE;

    private final int count;
    private final int length;
    private final int vocabulary;
    private final DecoderSession session;
    private final Batch batch;
    private final int[][] blockTables;
    private final float[] logits;
    private final int[] chosen;
    private int filled;

    /**
     * @param count of sequences
     * @param length most tokens of each
     */
    SequenceBatch(DecoderModel model, int count, int length) {
        this.count = count;
        this.length = length;
        vocabulary = model.spec().vocabSize();
        int blocks = blocks(length);
        session = model.newSession(count * blocks, Math.max(PREFILL_ROWS, count), count);
        batch = new Batch(session.maxRows(), count, blocks);
        blockTables = new int[count][blocks];
        for (int i = 0; i < count * blocks; i++) {
            blockTables[i / blocks][i % blocks] = i;
        }
        logits = new float[vocabulary];
        chosen = new int[count];
    }

    /** Ids of a prompt to time, other ones for each sequence: those of prompt() in worker.py. */
    static int[] prompt(int sequence, int tokens) {
        int[] ids = new int[tokens];
        for (int position = 0; position < tokens; position++) {
            ids[position] = 100 + (sequence * 7919 + position * 104729) % 50000;
        }
        return ids;
    }

    int count() {
        return count;
    }

    int length() {
        return length;
    }

    /** Gives every sequence keys and values of so many tokens, copies of a few that it computes. */
    void fill(int tokens) {
        if (filled == tokens) {
            return;
        }
        int computed = Math.min(tokens, COMPUTED_TOKENS);
        prefill(0, prompt(0, computed));
        int sources = blocks(computed);
        for (int sequence = 0; sequence < count; sequence++) {
            for (int block = 0; block < blocks(tokens); block++) {
                if (sequence > 0 || block >= sources) {
                    session.copyBlock(blockTables[0][block % sources], blockTables[sequence][block]);
                }
            }
        }
        filled = tokens;
    }

    private static int blocks(int tokens) {
        return (tokens - 1) / DecoderSession.BLOCK_SIZE + 1;
    }

    /** Runs a whole prompt; returns the logits after its last token. */
    FloatBuffer prefill(int sequence, int[] prompt) {
        FloatBuffer result = null;
        for (int start = 0; start < prompt.length; start += PREFILL_ROWS) {
            int end = Math.min(start + PREFILL_ROWS, prompt.length);
            batch.clear();
            batch.beginSequence(start, blockTables[sequence], blockTables[sequence].length);
            for (int i = start; i < end; i++) {
                batch.addRow(prompt[i], i == prompt.length - 1);
            }
            result = session.step(batch);
        }
        filled = 0;
        return result;
    }

    /** Appends a token to each sequence at that position; returns the logits after them. */
    FloatBuffer decode(int position, int[] tokens) {
        batch.clear();
        for (int sequence = 0; sequence < count; sequence++) {
            batch.beginSequence(position, blockTables[sequence], blockTables[sequence].length);
            batch.addRow(tokens[sequence], true);
        }
        return session.step(batch);
    }

    /** The most likely token of each row. */
    int[] choose(FloatBuffer rows) {
        for (int row = 0; row < rows.remaining() / vocabulary; row++) {
            rows.get(row * vocabulary, logits);
            int best = 0;
            for (int i = 1; i < vocabulary; i++) {
                best = logits[i] > logits[best] ? i : best;
            }
            chosen[row] = best;
        }
        return chosen;
    }

    @Override
    public void close() {
        session.close();
    }
}
