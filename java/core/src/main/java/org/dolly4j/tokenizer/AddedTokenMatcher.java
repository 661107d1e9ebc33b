package org.dolly4j.tokenizer;

import java.util.Arrays;
import java.util.List;

/** Finds the leftmost of several texts in a text, and of those that start there the longest. */
final class AddedTokenMatcher {
    private static final int ASCII = 128;

    private final Node root = new Node();

    /** Which ASCII characters start a pattern; and which pairs of them, c << 7 | d, start or are one. */
    private final boolean[] starts = new boolean[ASCII];

    private final boolean[] startPairs = new boolean[ASCII * ASCII];
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
            addStart(pattern);
        }
    }

    private void addStart(String pattern) {
        char first = pattern.charAt(0);
        if (first >= ASCII) {
            startsBeyondAscii = true;
            return;
        }
        starts[first] = true;
        for (int second = 0; second < ASCII; second++) {
            startPairs[first << 7 | second] |= pattern.length() == 1 || pattern.charAt(1) == second;
        }
    }

    /** The first match that starts in {@code text[from, to)} and ends there: start << 32 | index, or -1. */
    long find(char[] text, int from, int to) {
        for (int i = from; i < to; i++) {
            char c = text[i];
            if (c < ASCII ? starts[c] && mayStart(text, i, to) : startsBeyondAscii) {
                int pattern = longestAt(text, i, to);
                if (pattern >= 0) {
                    return (long) i << 32 | pattern;
                }
            }
        }
        return -1;
    }

    /** Whether the pair that follows may start a pattern: most places are told apart without the trie. */
    private boolean mayStart(char[] text, int at, int to) {
        return at + 1 == to || text[at + 1] >= ASCII || startPairs[text[at] << 7 | text[at + 1]];
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
