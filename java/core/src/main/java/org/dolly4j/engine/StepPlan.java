package org.dolly4j.engine;

import java.util.ArrayList;
import java.util.List;

/**
 * What one step runs: blocks to copy first, then rows of several sequences, those that are decoded first. Their blocks
 * are reserved.
 */
final class StepPlan {
    private final List<Copy> copies = new ArrayList<>();
    private final List<Slice> slices = new ArrayList<>();
    private int rows;
    private int logitsRows;

    /** Block {@code target} becomes a copy of {@code source}. Copies are made in their order. */
    record Copy(int source, int target) {}

    /**
     * The next uncached tokens of a sequence.
     *
     * @param rows how many, with drafts
     * @param drafts how many of them, the last ones, are drafts of tokens to come
     * @param isLast whether they are all, so that the logits after the last one and after each draft are wanted
     */
    record Slice(Sequence sequence, int rows, int drafts, boolean isLast) {
        /** Rows that want logits. */
        int logitsRows() {
            return isLast ? 1 + drafts : 0;
        }
    }

    void addCopy(int source, int target) {
        copies.add(new Copy(source, target));
    }

    /** Reserves the blocks for some uncached tokens, and adds them. */
    void add(Sequence sequence, int count) {
        sequence.reserve(count, this);
        Slice slice = new Slice(sequence, count, 0, count == sequence.uncached());
        slices.add(slice);
        rows += count;
        logitsRows += slice.logitsRows();
    }

    /** Adds drafts to a slice that has none and is its sequence's last. */
    void addDrafts(int at, int count) {
        Slice slice = slices.get(at);
        slice.sequence().reserve(slice.rows() + count, this);
        slices.set(at, new Slice(slice.sequence(), slice.rows() + count, count, true));
        rows += count;
        logitsRows += count;
    }

    /** Whether there are rows of a sequence. */
    boolean has(Sequence sequence) {
        return slices.stream().anyMatch(slice -> slice.sequence() == sequence);
    }

    List<Copy> copies() {
        return copies;
    }

    List<Slice> slices() {
        return slices;
    }

    /** Tokens of all slices. */
    int rows() {
        return rows;
    }

    /** Rows of all slices that want logits. */
    int logitsRows() {
        return logitsRows;
    }
}
