package org.dolly4j.engine;

import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The KV blocks of a session by number: how many sequences hold each of them, and what full ones contain. A block that
 * nobody holds any more but whose contents are known stays until its memory is needed, the one unused longest goes
 * first; a prompt that starts with the same tokens takes it again.
 */
final class BlockPool {
    /** Identity of the contents before a sequence's first block. */
    static final long NOTHING = 0;

    private static final int NONE = -1;

    private static final long HASH_SEED = new SecureRandom().nextLong();
    private static final long HASH_FACTOR = 0x9E3779B97F4A7C15L;

    private final int[] holders;
    private final int[] free;
    private int freeCount;

    private final boolean keepsContents;
    private final Map<Contents, Integer> blocks = new HashMap<>();
    private final Contents[] contents;
    private final long[] identities;
    private long lastIdentity = NOTHING;

    /**
     * Blocks that are kept for their contents alone, as a ring by the time they were last held; the last entry is its
     * head.
     */
    private final int[] older;

    private final int[] newer;
    private int keptCount;

    /**
     * What a full block holds. Keys and values of a token depend on all tokens before it, so the contents before count:
     * by their identity, which no other contents ever get. Equal contents are equal token by token from the start.
     *
     * @param before identity of the contents of the block before, {@link #NOTHING} for the first
     * @param salt keeps those apart who must not share; counts in the first block, and by identity in all others
     * @param tokens as many as a block has
     */
    record Contents(long before, String salt, int[] tokens) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Contents that
                    && before == that.before
                    && Arrays.equals(tokens, that.tokens)
                    && salt.equals(that.salt);
        }

        /** No one who does not know the seed can find prompts that collide, to make others' look-ups slow. */
        @Override
        public int hashCode() {
            long hash = mix(HASH_SEED, before);
            for (int token : tokens) {
                hash = mix(hash, token);
            }
            for (int i = 0; i < salt.length(); i++) {
                hash = mix(hash, salt.charAt(i));
            }
            return (int) (hash >>> 32);
        }

        private static long mix(long hash, long next) {
            long mixed = (hash ^ next) * HASH_FACTOR;
            return mixed ^ (mixed >>> 29);
        }
    }

    /**
     * @param blocks number of blocks, all free
     * @param keepsContents whether blocks that nobody holds are kept for their contents
     */
    BlockPool(int blocks, boolean keepsContents) {
        this.keepsContents = keepsContents;
        holders = new int[blocks];
        free = new int[blocks];
        freeCount = blocks;
        for (int i = 0; i < blocks; i++) {
            free[i] = blocks - 1 - i;
        }
        contents = new Contents[blocks];
        identities = new long[blocks];
        older = new int[blocks + 1];
        newer = new int[blocks + 1];
        older[blocks] = blocks;
        newer[blocks] = blocks;
    }

    int size() {
        return holders.length;
    }

    /** Blocks that nobody holds. */
    int availableCount() {
        return freeCount + keptCount;
    }

    /** Blocks that nobody holds, but that are kept for their contents. */
    int keptCount() {
        return keptCount;
    }

    /** How many hold a block. */
    int holders(int block) {
        return holders[block];
    }

    /** Takes a block that nobody holds for one holder; what it contained is forgotten. */
    int allocate() {
        int block;
        if (freeCount > 0) {
            block = free[--freeCount];
        } else if (keptCount > 0) {
            block = newer[size()];
            unlink(block);
            forget(block);
        } else {
            throw new IllegalStateException("All " + size() + " KV blocks are in use; the plan should have seen it.");
        }
        holders[block] = 1;
        return block;
    }

    /** Adds a holder. */
    void retain(int block) {
        if (holders[block]++ == 0) {
            unlink(block);
        }
    }

    /** Takes a holder away. */
    void release(int block) {
        if (holders[block] == 0) {
            throw new IllegalStateException("Nobody holds KV block " + block + ".");
        }
        if (--holders[block] > 0) {
            return;
        }
        if (contents[block] != null && keepsContents) {
            linkAsNewest(block);
        } else {
            forget(block);
            free[freeCount++] = block;
        }
    }

    /** Whether others hold the block too, so that it must not be written. */
    boolean isShared(int block) {
        return holders[block] > 1;
    }

    /** A block with these contents, or -1. Not held yet: {@link #retain} it before the next block is taken. */
    int find(Contents wanted) {
        return blocks.getOrDefault(wanted, NONE);
    }

    /** Identity of what a block contains, which was {@link #identify}ed or {@link #find found}. */
    long identity(int block) {
        return identities[block];
    }

    /**
     * Says what a block that is held contains from now on.
     *
     * @return the identity of the contents; where another block has the same, that one is found by them, not this
     */
    long identify(int block, Contents full) {
        Integer same = blocks.putIfAbsent(full, block);
        if (same != null) {
            return identities[same];
        }
        contents[block] = full;
        identities[block] = ++lastIdentity;
        return lastIdentity;
    }

    private void forget(int block) {
        if (contents[block] != null) {
            blocks.remove(contents[block]);
            contents[block] = null;
        }
    }

    private void linkAsNewest(int block) {
        int head = size();
        int last = older[head];
        newer[last] = block;
        older[block] = last;
        newer[block] = head;
        older[head] = block;
        keptCount++;
    }

    private void unlink(int block) {
        newer[older[block]] = newer[block];
        older[newer[block]] = older[block];
        keptCount--;
    }
}
