package org.dolly4j.engine;

/** The KV blocks of a session by number: which are free, and how many sequences hold each of the others. */
final class BlockPool {
    private final int[] references;
    private final int[] free;
    private int freeCount;

    /** @param blocks number of blocks, all free */
    BlockPool(int blocks) {
        references = new int[blocks];
        free = new int[blocks];
        freeCount = blocks;
        for (int i = 0; i < blocks; i++) {
            free[i] = blocks - 1 - i;
        }
    }

    int size() {
        return references.length;
    }

    int freeCount() {
        return freeCount;
    }

    /** Takes a free block for one holder. */
    int allocate() {
        if (freeCount == 0) {
            throw new IllegalStateException("All " + size() + " KV blocks are in use; admission should have seen it.");
        }
        int block = free[--freeCount];
        references[block] = 1;
        return block;
    }

    /** Adds a holder. */
    void retain(int block) {
        references[block]++;
    }

    /** Takes a holder away; without one the block is free. */
    void release(int block) {
        if (references[block] == 0) {
            throw new IllegalStateException("KV block " + block + " is free already.");
        }
        if (--references[block] == 0) {
            free[freeCount++] = block;
        }
    }

    /** Whether others hold the block too, so that it must not be written. */
    boolean isShared(int block) {
        return references[block] > 1;
    }
}
