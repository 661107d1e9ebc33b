package org.dolly4j.tokenizer;

import java.util.Arrays;

/** A growing list of ids. */
final class IdList {
    private int[] ids;
    private int size;

    IdList(int capacity) {
        ids = new int[capacity];
    }

    int size() {
        return size;
    }

    void add(int id) {
        reserve(1);
        ids[size++] = id;
    }

    void addAll(int[] more) {
        reserve(more.length);
        for (int id : more) { // a word has few ids: a loop is faster than arraycopy
            ids[size++] = id;
        }
    }

    /** A copy of the ids from {@code start} to the end. */
    int[] copyFrom(int start) {
        return Arrays.copyOfRange(ids, start, size);
    }

    private void reserve(int more) {
        if (ids.length - size < more) {
            ids = Arrays.copyOf(ids, Math.max(2 * ids.length, size + more));
        }
    }
}
