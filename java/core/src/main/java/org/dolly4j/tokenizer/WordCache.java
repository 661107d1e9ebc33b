package org.dolly4j.tokenizer;

import java.util.Arrays;

/**
 * Ids of words met before: a table of fixed size in which a newer word replaces an older one of the same place.
 *
 * <p>Threads share it without locks. A slot is one reference to an entry of final fields, so a reader sees a whole
 * entry or none, and a lost write costs no more than encoding the word again.
 */
final class WordCache {
    /** Longer words are rare and not worth the room. */
    static final int MAX_WORD = 48;

    /** Two choices a word, of slots that differ in the lowest bit. About 4 MB when full of English words. */
    private static final int SLOTS = 1 << 15;

    private final Entry[] slots = new Entry[SLOTS];

    private static final class Entry {
        private final int hash;
        private final char[] word;
        private final int[] ids;

        Entry(int hash, char[] word, int[] ids) {
            this.hash = hash;
            this.word = word;
            this.ids = ids;
        }

        boolean holds(int otherHash, char[] text, int from, int to) {
            if (hash != otherHash || word.length != to - from) {
                return false;
            }
            for (int i = 0; i < word.length; i++) {
                if (word[i] != text[from + i]) {
                    return false;
                }
            }
            return true;
        }
    }

    static int hash(char[] text, int from, int to) {
        int hash = 0;
        for (int i = from; i < to; i++) {
            hash = 31 * hash + text[i];
        }
        hash *= 0x9E3779B9; // Knuth's multiplicative hash spreads the low bits to the high ones, which choose the slot
        return hash ^ hash >>> 16;
    }

    /** The ids of the word {@code text[from, to)}, not to be changed, or null if it is not known. */
    int[] get(int hash, char[] text, int from, int to) {
        int slot = hash & (SLOTS - 1);
        Entry entry = slots[slot];
        if (entry != null && entry.holds(hash, text, from, to)) {
            return entry.ids;
        }
        entry = slots[slot ^ 1];
        return entry != null && entry.holds(hash, text, from, to) ? entry.ids : null;
    }

    void put(int hash, char[] text, int from, int to, int[] ids) {
        int slot = hash & (SLOTS - 1);
        Entry entry = new Entry(hash, Arrays.copyOfRange(text, from, to), ids);
        Entry displaced = slots[slot];
        slots[slot] = entry;
        if (displaced != null) {
            slots[slot ^ 1] = displaced;
        }
    }

    void clear() {
        Arrays.fill(slots, null);
    }
}
