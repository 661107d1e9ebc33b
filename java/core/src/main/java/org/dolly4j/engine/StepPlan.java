package org.dolly4j.engine;

import java.util.ArrayList;
import java.util.List;

/** What one step runs: blocks to copy first, then rows of several sequences. Their blocks are reserved. */
final class StepPlan {
    private final List<Copy> copies = new ArrayList<>();
    private final List<Slice> slices = new ArrayList<>();
    private int rows;

    /** Block {@code target} becomes a copy of {@code source}. Copies are made in their order. */
    record Copy(int source, int target) {}

    /**
     * The next uncached tokens of a sequence.
     *
     * @param rows how many
     * @param isLast whether they are all, so that the last one's logits give the next token
     */
    record Slice(Sequence sequence, int rows, boolean isLast) {}

    void addCopy(int source, int target) {
        copies.add(new Copy(source, target));
    }

    /** Reserves the blocks for some uncached tokens, and adds them. */
    void add(Sequence sequence, int count) {
        sequence.reserve(count, this);
        slices.add(new Slice(sequence, count, count == sequence.uncached()));
        rows += count;
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
}
