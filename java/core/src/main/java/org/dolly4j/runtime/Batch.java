package org.dolly4j.runtime;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;

/**
 * What one step runs: rows (tokens) of several sequences, flat in direct buffers that native code reads in place. Made
 * once and refilled for every step; not thread-safe.
 *
 * <p>Fill it sequence by sequence: {@link #beginSequence}, then {@link #addRow} for each of its new tokens in order.
 */
public final class Batch {
    private final int maxRows;
    private final int maxSequences;
    private final int maxBlocksPerSequence;
    private final IntBuffer tokens;
    private final IntBuffer positions;
    private final IntBuffer sequenceStarts;
    private final IntBuffer contextLengths;
    private final IntBuffer blockTables;
    private final IntBuffer logitsRows;
    private int rows;
    private int sequences;
    private int logitsCount;

    /**
     * @param maxRows most tokens of a step
     * @param maxSequences most sequences of a step
     * @param maxBlocksPerSequence length of a block table
     */
    public Batch(int maxRows, int maxSequences, int maxBlocksPerSequence) {
        this.maxRows = maxRows;
        this.maxSequences = maxSequences;
        this.maxBlocksPerSequence = maxBlocksPerSequence;
        tokens = direct(maxRows);
        positions = direct(maxRows);
        sequenceStarts = direct(maxSequences + 1);
        contextLengths = direct(maxSequences);
        blockTables = direct(Math.multiplyExact(maxSequences, maxBlocksPerSequence));
        logitsRows = direct(maxRows);
    }

    private static IntBuffer direct(int ints) {
        return ByteBuffer.allocateDirect(Math.multiplyExact(ints, Integer.BYTES))
                .order(ByteOrder.nativeOrder())
                .asIntBuffer();
    }

    /** Empties the batch. */
    public void clear() {
        rows = 0;
        sequences = 0;
        logitsCount = 0;
    }

    /**
     * Starts a sequence.
     *
     * @param cachedTokens tokens of it that are in the KV cache already; its next row has this position
     * @param blockTable block i holds the positions from i * block size on; must cover the rows to come too
     * @param blocks how many of {@code blockTable} count
     */
    public void beginSequence(int cachedTokens, int[] blockTable, int blocks) {
        if (sequences == maxSequences || blocks > maxBlocksPerSequence) {
            throw new IllegalStateException("the batch holds " + maxSequences + " sequences of " + maxBlocksPerSequence
                    + " blocks; one more or longer does not fit");
        }
        sequenceStarts.put(sequences, rows);
        contextLengths.put(sequences, cachedTokens);
        blockTables.put(sequences * maxBlocksPerSequence, blockTable, 0, blocks);
        sequences++;
    }

    /**
     * Adds the next token of the sequence begun last.
     *
     * @param token id
     * @param wantsLogits whether the step returns the logits that follow this token
     * @throws IllegalStateException if no sequence was begun, or the batch is full
     */
    public void addRow(int token, boolean wantsLogits) {
        if (rows == maxRows) {
            throw new IllegalStateException("the batch holds " + maxRows + " rows; one more does not fit");
        }
        if (sequences == 0) {
            throw new IllegalStateException("beginSequence must come before the first row of a batch");
        }
        int sequence = sequences - 1;
        int position = contextLengths.get(sequence);
        tokens.put(rows, token);
        positions.put(rows, position);
        contextLengths.put(sequence, position + 1);
        if (wantsLogits) {
            logitsRows.put(logitsCount++, rows);
        }
        rows++;
        sequenceStarts.put(sequences, rows);
    }

    /** Tokens in the batch. */
    public int rows() {
        return rows;
    }

    /** Sequences in the batch. */
    public int sequences() {
        return sequences;
    }

    /** Rows that want logits. */
    public int logitsCount() {
        return logitsCount;
    }

    int maxBlocksPerSequence() {
        return maxBlocksPerSequence;
    }

    /** Position of a row in its sequence. */
    public int position(int row) {
        return positions.get(row);
    }

    /** The row that is the given one of those that want logits. */
    public int logitsRow(int index) {
        return logitsRows.get(index);
    }

    IntBuffer tokens() {
        return tokens;
    }

    IntBuffer positions() {
        return positions;
    }

    IntBuffer sequenceStarts() {
        return sequenceStarts;
    }

    IntBuffer contextLengths() {
        return contextLengths;
    }

    IntBuffer blockTables() {
        return blockTables;
    }

    IntBuffer logitsRows() {
        return logitsRows;
    }
}
