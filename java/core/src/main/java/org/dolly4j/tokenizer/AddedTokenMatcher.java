package org.dolly4j.tokenizer;

import java.util.Arrays;
import java.util.List;

/** Finds the leftmost of several texts in a text, and of those that start there the longest. */
final class AddedTokenMatcher {
    private final Node root = new Node();

    /** Which ASCII characters start a pattern. */
    private final boolean[] startsAscii = new boolean[128];

    private boolean startsBeyondAscii;

    /** A place in the trie: the characters that may come next, ascending, and where they lead. */
    private static final class Node {
        private char[] next = new char[0];
        private Node[] children = new Node[0];
        private int pattern = -1;

        Node child(char c) {
            int i = next.length == 1 ? (next[0] == c ? 0 : -1) : Arrays.binarySearch(next, c);
            return i < 0 ? null : children[i];
        }

        Node addChild(char c) {
            int i = Arrays.binarySearch(next, c);
            if (i >= 0) {
                return children[i];
            }
            int at = -i - 1;
            char[] longerNext = Arrays.copyOf(next, next.length + 1);
            Node[] longerChildren = Arrays.copyOf(children, children.length + 1);
            System.arraycopy(next, at, longerNext, at + 1, next.length - at);
            System.arraycopy(children, at, longerChildren, at + 1, children.length - at);
            longerNext[at] = c;
            longerChildren[at] = new Node();
            next = longerNext;
            children = longerChildren;
            return children[at];
        }
    }

    /** @param patterns none empty, none twice; a match is told by its index */
    AddedTokenMatcher(List<String> patterns) {
        for (int i = 0; i < patterns.size(); i++) {
            String pattern = patterns.get(i);
            Node node = root;
            for (int k = 0; k < pattern.length(); k++) {
                node = node.addChild(pattern.charAt(k));
            }
            node.pattern = i;
            char first = pattern.charAt(0);
            if (first < startsAscii.length) {
                startsAscii[first] = true;
            } else {
                startsBeyondAscii = true;
            }
        }
    }

    /** The first match that starts in {@code text[from, to)} and ends there: start << 32 | index, or -1. */
    long find(char[] text, int from, int to) {
        for (int i = from; i < to; i++) {
            char c = text[i];
            if (c < startsAscii.length ? startsAscii[c] : startsBeyondAscii) {
                int pattern = longestAt(text, i, to);
                if (pattern >= 0) {
                    return (long) i << 32 | pattern;
                }
            }
        }
        return -1;
    }

    private int longestAt(char[] text, int from, int to) {
        int longest = -1;
        Node node = root;
        for (int i = from; i < to; i++) {
            node = node.child(text[i]);
            if (node == null) {
                break;
            }
            if (node.pattern >= 0) {
                longest = node.pattern;
            }
        }
        return longest;
    }
}
