package org.dolly4j.tokenizer;

import java.util.Arrays;
import java.util.List;

/** The merges of a BPE model: rank and result by the ids of the pair. A lower rank is merged first. */
final class MergeTable {
    /** Above every rank: the pair is not merged. */
    static final int NO_RANK = Integer.MAX_VALUE;

    private static final long EMPTY = -1;

    /** Open addressing: the pair (left << 32 | right) at 2 i, rank << 32 | result at 2 i + 1. */
    private final long[] table;

    private final int mask;

    /** @param merges ids {left, right, result}, by rank; of a pair that stands twice the later counts, as in HF */
    MergeTable(List<int[]> merges) {
        int slots = Integer.highestOneBit(Math.max(8, merges.size())) * 4; // at most half full
        table = new long[2 * slots];
        Arrays.fill(table, EMPTY);
        mask = slots - 1;
        for (int rank = 0; rank < merges.size(); rank++) {
            int[] merge = merges.get(rank);
            int slot = slot(merge[0], merge[1]);
            table[2 * slot] = pair(merge[0], merge[1]);
            table[2 * slot + 1] = (long) rank << 32 | merge[2];
        }
    }

    /** Rank << 32 | result of the pair; {@link #NO_RANK} as rank if it is not merged. */
    long get(int left, int right) {
        int slot = slot(left, right);
        return table[2 * slot] == EMPTY ? (long) NO_RANK << 32 : table[2 * slot + 1];
    }

    private int slot(int left, int right) {
        long pair = pair(left, right);
        long hash = pair * 0x9E3779B97F4A7C15L;
        int slot = (int) (hash >>> 40) & mask;
        while (table[2 * slot] != pair && table[2 * slot] != EMPTY) {
            slot = (slot + 1) & mask;
        }
        return slot;
    }

    private static long pair(int left, int right) {
        return (long) left << 32 | right;
    }
}
