package org.dolly4j.sampling;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/** The processors that look at the tokens so far, each with the meaning of Hugging Face's class of the same name. */
final class LogitsProcessors {
    private static final float IMPOSSIBLE = Float.NEGATIVE_INFINITY;

    private LogitsProcessors() {}

    /**
     * Adds to the score of the last token of each sequence that the history ends with the others of; what several
     * sequences add to one token adds up.
     *
     * @throws IllegalArgumentException if an id is outside the vocabulary
     */
    static LogitsProcessor sequenceBias(Map<List<Integer>, Double> biases, int vocabSize) {
        requireInVocabulary("sequenceBias", biases.keySet(), vocabSize);
        int[][] sequences =
                biases.keySet().stream().map(LogitsProcessors::toArray).toArray(int[][]::new);
        double[] added =
                biases.values().stream().mapToDouble(Double::doubleValue).toArray();
        int[] ids = Arrays.stream(sequences)
                .mapToInt(sequence -> sequence[sequence.length - 1])
                .distinct()
                .sorted()
                .toArray();
        int[] sumOf = Arrays.stream(sequences)
                .mapToInt(sequence -> Arrays.binarySearch(ids, sequence[sequence.length - 1]))
                .toArray();
        float[] sums = new float[ids.length];
        return (scores, history, historyLength, promptLength) -> {
            Arrays.fill(sums, 0); // added up apart, as in Hugging Face, so that the score is rounded once
            for (int i = 0; i < sequences.length; i++) {
                int prefix = sequences[i].length - 1;
                if (prefix <= historyLength && matches(sequences[i], 0, history, historyLength - prefix, prefix)) {
                    sums[sumOf[i]] += (float) added[i];
                }
            }
            for (int i = 0; i < ids.length; i++) {
                scores[ids[i]] += sums[i];
            }
        };
    }

    /** Leaves a token alone after a prompt of one token. */
    static LogitsProcessor forcedBos(int id) {
        return (scores, history, historyLength, promptLength) -> {
            if (historyLength == 1) {
                force(scores, List.of(id));
            }
        };
    }

    /** Leaves some tokens alone as the last one of an answer of {@code maxNewTokens}. */
    static LogitsProcessor forcedEos(List<Integer> ids, int maxNewTokens) {
        return (scores, history, historyLength, promptLength) -> {
            if (historyLength - promptLength == maxNewTokens - 1) {
                force(scores, ids);
            }
        };
    }

    private static void force(float[] scores, List<Integer> ids) {
        Arrays.fill(scores, IMPOSSIBLE);
        for (int id : ids) {
            if (isIn(scores, id)) {
                scores[id] = 0;
            }
        }
    }

    /** Score / penalty if positive, score * penalty if negative, once for every token of the history. */
    static LogitsProcessor repetitionPenalty(double penalty, int vocabSize) {
        float factor = (float) penalty;
        long[] seen = new long[(vocabSize + Long.SIZE - 1) / Long.SIZE];
        return (scores, history, historyLength, promptLength) -> {
            for (int i = 0; i < historyLength; i++) {
                int id = history[i];
                if (isIn(scores, id) && (seen[id / Long.SIZE] & 1L << id) == 0) {
                    seen[id / Long.SIZE] |= 1L << id;
                    scores[id] = scores[id] < 0 ? scores[id] * factor : scores[id] / factor;
                }
            }
            for (int i = 0; i < historyLength; i++) {
                if (isIn(scores, history[i])) {
                    seen[history[i] / Long.SIZE] = 0;
                }
            }
        };
    }

    /** Bans each token that would complete a sequence of {@code size} tokens that the history holds already. */
    static LogitsProcessor noRepeatNgram(int size) {
        return (scores, history, historyLength, promptLength) -> {
            int prefixStart = historyLength - (size - 1);
            for (int start = 0; start + size <= historyLength; start++) {
                if (matches(history, start, history, prefixStart, size - 1)) {
                    ban(scores, history[start + size - 1]);
                }
            }
        };
    }

    /**
     * Bans the last token of each sequence that the history ends with the others of. A sequence that is one end token
     * has no effect.
     *
     * @throws IllegalArgumentException if an id is outside the vocabulary
     */
    static LogitsProcessor noBadWords(List<List<Integer>> badWordsIds, int[] eosIds, int vocabSize) {
        requireInVocabulary("badWordsIds", badWordsIds, vocabSize);
        int[][] words = badWordsIds.stream()
                .filter(word -> word.size() > 1 || !contains(eosIds, word.get(0)))
                .map(LogitsProcessors::toArray)
                .toArray(int[][]::new);
        return (scores, history, historyLength, promptLength) -> {
            for (int[] word : words) {
                int prefix = word.length - 1;
                if (prefix <= historyLength && matches(word, 0, history, historyLength - prefix, prefix)) {
                    ban(scores, word[prefix]);
                }
            }
        };
    }

    private static void requireInVocabulary(String option, Collection<List<Integer>> sequences, int vocabSize) {
        for (List<Integer> sequence : sequences) {
            for (int id : sequence) {
                if (id >= vocabSize) {
                    throw new IllegalArgumentException(option + " holds the token id " + id
                            + ", but the vocabulary has " + vocabSize + " tokens; remove " + sequence);
                }
            }
        }
    }

    /** Bans the end tokens while prompt and answer together are shorter than {@code minLength}. */
    static LogitsProcessor minLength(int minLength, int[] eosIds) {
        return (scores, history, historyLength, promptLength) -> {
            if (historyLength < minLength) {
                banAll(scores, eosIds);
            }
        };
    }

    /** Bans the end tokens while the answer is shorter than {@code minNewTokens}. */
    static LogitsProcessor minNewTokens(int minNewTokens, int[] eosIds) {
        return (scores, history, historyLength, promptLength) -> {
            if (historyLength - promptLength < minNewTokens) {
                banAll(scores, eosIds);
            }
        };
    }

    /** Bans tokens everywhere. */
    static LogitsProcessor suppressTokens(List<Integer> suppressTokens) {
        int[] ids = toArray(suppressTokens);
        return (scores, history, historyLength, promptLength) -> banAll(scores, ids);
    }

    /** Bans tokens as the first of the answer. */
    static LogitsProcessor suppressTokensAtBegin(List<Integer> beginSuppressTokens) {
        int[] ids = toArray(beginSuppressTokens);
        return (scores, history, historyLength, promptLength) -> {
            if (historyLength == promptLength) {
                banAll(scores, ids);
            }
        };
    }

    /** Divides every score. */
    static LogitsProcessor temperature(double temperature) {
        float divisor = (float) temperature;
        return (scores, history, historyLength, promptLength) -> {
            for (int id = 0; id < scores.length; id++) {
                scores[id] /= divisor;
            }
        };
    }

    private static boolean matches(int[] left, int leftStart, int[] right, int rightStart, int length) {
        for (int i = 0; i < length; i++) {
            if (left[leftStart + i] != right[rightStart + i]) {
                return false;
            }
        }
        return true;
    }

    private static void banAll(float[] scores, int[] ids) {
        for (int id : ids) {
            ban(scores, id);
        }
    }

    private static void ban(float[] scores, int id) {
        if (isIn(scores, id)) {
            scores[id] = IMPOSSIBLE;
        }
    }

    private static boolean isIn(float[] scores, int id) {
        return id >= 0 && id < scores.length;
    }

    private static boolean contains(int[] ids, int id) {
        for (int other : ids) {
            if (other == id) {
                return true;
            }
        }
        return false;
    }

    private static int[] toArray(List<Integer> ids) {
        return ids.stream().mapToInt(Integer::intValue).toArray();
    }
}
