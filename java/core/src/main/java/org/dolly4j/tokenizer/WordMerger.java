package org.dolly4j.tokenizer;

import java.util.Arrays;

/**
 * Byte pair encoding of one word at a time (Sennrich et al. 2016): as long as two neighbours stand in the merges, the
 * pair of the lowest rank is joined, of equal ones the leftmost.
 *
 * <p>Short words search their few pairs for the lowest rank each time. Long ones keep the pairs in a heap and the parts
 * in a linked list: O(n log n), so that a megabyte without a space is no trouble. For one thread.
 */
final class WordMerger {
    /** Up to here the plain search beats the heap. */
    private static final int SHORT = 64;

    private static final int NO_RANK = MergeTable.NO_RANK;

    private final MergeTable merges;

    /** Parts of the word. */
    private int[] ids = new int[SHORT];

    /** Rank of the pair of a part and the next; and what the pair becomes. */
    private int[] ranks = new int[SHORT];

    private int[] results = new int[SHORT];

    WordMerger(MergeTable merges) {
        this.merges = merges;
    }

    /**
     * Encodes the bytes of a word.
     *
     * @param bytes the word is {@code bytes[0, length)}
     * @param idOfByte id of each byte, -1 if the vocabulary lacks it: then it is left out
     */
    void merge(byte[] bytes, int length, int[] idOfByte, IdList out) {
        if (ids.length < length) {
            int capacity = Math.max(length, 2 * ids.length);
            ids = new int[capacity];
            ranks = new int[capacity];
            results = new int[capacity];
        }
        int parts = 0;
        for (int i = 0; i < length; i++) {
            int id = idOfByte[bytes[i] & 0xFF];
            if (id >= 0) {
                ids[parts++] = id;
            }
        }
        if (parts == 0) {
            return;
        }
        for (int i = 0; i + 1 < parts; i++) {
            setPair(i, ids[i], ids[i + 1]);
        }
        ranks[parts - 1] = NO_RANK;
        if (parts <= SHORT) {
            mergeShort(parts, out);
        } else {
            mergeLong(parts, out);
        }
    }

    private void mergeShort(int count, IdList out) {
        int parts = count;
        while (true) {
            int best = 0;
            for (int i = 1; i < parts; i++) {
                if (ranks[i] < ranks[best]) {
                    best = i;
                }
            }
            if (ranks[best] == NO_RANK) {
                break;
            }
            ids[best] = results[best];
            int moved = parts - best - 2;
            System.arraycopy(ids, best + 2, ids, best + 1, moved);
            System.arraycopy(ranks, best + 2, ranks, best + 1, moved);
            System.arraycopy(results, best + 2, results, best + 1, moved);
            parts--;
            if (best + 1 < parts) {
                setPair(best, ids[best], ids[best + 1]);
            } else {
                ranks[best] = NO_RANK;
            }
            if (best > 0) {
                setPair(best - 1, ids[best - 1], ids[best]);
            }
        }
        for (int i = 0; i < parts; i++) {
            out.add(ids[i]);
        }
    }

    private void mergeLong(int count, IdList out) {
        int[] next = new int[count];
        int[] previous = new int[count];
        PairHeap heap = new PairHeap(count);
        for (int i = 0; i < count; i++) {
            next[i] = i + 1 < count ? i + 1 : -1;
            previous[i] = i - 1;
            heap.add(ranks[i], i);
        }
        while (!heap.isEmpty()) {
            long pair = heap.removeFirst();
            int left = (int) pair;
            if (ranks[left] != (int) (pair >>> 32)) {
                continue; // the pair of that place is another by now, or the place is gone
            }
            int right = next[left];
            ids[left] = results[left];
            ranks[right] = NO_RANK;
            next[left] = next[right];
            if (next[left] >= 0) {
                previous[next[left]] = left;
                setPair(left, ids[left], ids[next[left]]);
                heap.add(ranks[left], left);
            } else {
                ranks[left] = NO_RANK;
            }
            int before = previous[left];
            if (before >= 0) {
                setPair(before, ids[before], ids[left]);
                heap.add(ranks[before], before);
            }
        }
        for (int i = 0; i >= 0; i = next[i]) {
            out.add(ids[i]);
        }
    }

    private void setPair(int at, int left, int right) {
        long merge = merges.get(left, right);
        ranks[at] = (int) (merge >>> 32);
        results[at] = (int) merge;
    }

    /** A binary heap of rank << 32 | place, least first. */
    private static final class PairHeap {
        private long[] pairs;
        private int size;

        PairHeap(int capacity) {
            pairs = new long[capacity];
        }

        boolean isEmpty() {
            return size == 0;
        }

        /** Adds a pair that is merged; one that is not is left out. */
        void add(int rank, int place) {
            if (rank == NO_RANK) {
                return;
            }
            if (size == pairs.length) {
                pairs = Arrays.copyOf(pairs, 2 * size);
            }
            long pair = (long) rank << 32 | place;
            int i = size++;
            while (i > 0 && pairs[(i - 1) / 2] > pair) {
                pairs[i] = pairs[(i - 1) / 2];
                i = (i - 1) / 2;
            }
            pairs[i] = pair;
        }

        long removeFirst() {
            long first = pairs[0];
            long last = pairs[--size];
            int i = 0;
            while (true) {
                int child = 2 * i + 1;
                if (child >= size) {
                    break;
                }
                if (child + 1 < size && pairs[child + 1] < pairs[child]) {
                    child++;
                }
                if (pairs[child] >= last) {
                    break;
                }
                pairs[i] = pairs[child];
                i = child;
            }
            pairs[i] = last;
            return first;
        }
    }
}
