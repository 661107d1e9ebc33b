package org.dolly4j.tokenizer;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;

/**
 * A byte-level BPE model as the files give it, checked, with the steps around it.
 *
 * @param vocab id of each token of the model, in byte-level spelling
 * @param merges the merges, best first, each as ids {left, right, result}
 * @param ignoreMerges whether a word that is a token as a whole is taken as that token, whatever the merges say
 * @param pipeline the steps around the model
 * @param addedTokens the added tokens with the ids stated, in the order of the file
 */
record BpeModel(
        Map<String, Integer> vocab,
        List<int[]> merges,
        boolean ignoreMerges,
        TokenizerPipeline pipeline,
        List<AddedToken> addedTokens) {

    /** Ids beyond are taken for damage: no vocabulary comes near, and tables are as long as the largest id. */
    static final int MAX_ID = (1 << 20) - 1;

    /** A merge makes a token, so there are hardly more merges than ids. */
    private static final int MAX_MERGES = MAX_ID + 1;

    /** Vocabulary and merges as they are read, in any order. */
    static final class Builder {
        private final String vocabPlace;
        private final String mergesPlace;
        private final Map<String, Integer> vocab = new HashMap<>();
        private final BitSet taken = new BitSet();
        private final List<String[]> pairs = new ArrayList<>();

        /**
         * @param vocabPlace file and place of the vocabulary, for messages
         * @param mergesPlace file and place of the merges
         */
        Builder(String vocabPlace, String mergesPlace) {
            this.vocabPlace = vocabPlace;
            this.mergesPlace = mergesPlace;
        }

        /** Takes the object of tokens and their ids. */
        void readVocab(JsonFile file) throws IOException {
            file.map(token -> {
                int id = file.index(MAX_ID);
                if (JsonFile.hasUnpairedSurrogate(token)) {
                    throw file.error("has half a surrogate pair, which is no character");
                }
                if (vocab.put(token, id) != null) {
                    throw new CheckpointException(vocabPlace + " has '" + token + "' twice. The file is damaged.");
                }
                if (taken.get(id)) {
                    throw new CheckpointException(vocabPlace + " gives id " + id + " to '" + token
                            + "' and to a token before it. The file is damaged.");
                }
                taken.set(id);
            });
        }

        /** Takes a merge given as its two parts with a space between; a line with the version is none. */
        void addMerge(String merge) {
            if (merge.startsWith("#version")) {
                return; // the first line of merges.txt, which is taken over into some lists
            }
            int space = merge.indexOf(' ');
            if (space < 0 || merge.indexOf(' ', space + 1) >= 0) {
                throw badMerge("'" + merge + "'");
            }
            addMerge(merge.substring(0, space), merge.substring(space + 1));
        }

        void addMerge(String left, String right) {
            if (pairs.size() == MAX_MERGES) {
                throw new CheckpointException(mergesPlace + " has more than " + MAX_MERGES + " merges.");
            }
            pairs.add(new String[] {left, right});
        }

        Map<String, Integer> vocab() {
            return vocab;
        }

        BpeModel build(boolean ignoreMerges, TokenizerPipeline pipeline, List<AddedToken> addedTokens) {
            List<int[]> merges = new ArrayList<>(pairs.size());
            for (String[] pair : pairs) {
                Integer left = vocab.get(pair[0]);
                Integer right = vocab.get(pair[1]);
                Integer result = vocab.get(pair[0] + pair[1]);
                if (left == null || right == null || result == null) {
                    throw badMerge("'" + pair[0] + "' + '" + pair[1] + "'");
                }
                merges.add(new int[] {left, right, result});
            }
            return new BpeModel(vocab, merges, ignoreMerges, pipeline, addedTokens);
        }

        private CheckpointException badMerge(String merge) {
            return new CheckpointException(mergesPlace + " holds " + merge
                    + ", but a merge has two parts that stand in the vocabulary, as does what they join to. "
                    + "The file is damaged: fetch it again.");
        }
    }
}
