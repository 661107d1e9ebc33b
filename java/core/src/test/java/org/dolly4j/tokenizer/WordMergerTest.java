package org.dolly4j.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WordMergerTest {
    private static final int LETTERS = 3;

    /** Short words and long ones take different ways; both must come to what the definition says. */
    @Test
    void mergesOfAnyWord_areThoseOfTheDefinition() {
        Random random = new Random(4);
        for (int round = 0; round < 60; round++) {
            List<int[]> merges = randomMerges(random, 40);
            WordMerger merger = new WordMerger(new MergeTable(merges));
            for (int length : new int[] {1, 2, 3, 10, 63, 64, 65, 66, 200, 1000}) {
                byte[] word = new byte[length];
                int[] ids = new int[length];
                for (int i = 0; i < length; i++) {
                    ids[i] = random.nextInt(LETTERS);
                    word[i] = (byte) ('a' + ids[i]);
                }
                IdList found = new IdList(1);
                merger.merge(word, length, idOfByte(), found);
                assertThat(found.copyFrom(0)).isEqualTo(byDefinition(ids, merges));
            }
        }
    }

    @Test
    void bytesThatTheVocabularyLacks_areLeftOut() {
        IdList found = new IdList(1);
        WordMerger merger = new WordMerger(new MergeTable(List.of(new int[] {0, 1, 7})));
        merger.merge(new byte[] {'x', 'a', 'y', 'b', 'z'}, 5, idOfByte(), found);
        merger.merge(new byte[] {'x'}, 1, idOfByte(), found);

        assertThat(found.copyFrom(0)).containsExactly(7);
    }

    /** Joins the leftmost pair of the lowest rank until none is left. */
    private static int[] byDefinition(int[] word, List<int[]> merges) {
        Map<Long, int[]> rankAndResult = new HashMap<>();
        for (int rank = 0; rank < merges.size(); rank++) {
            int[] merge = merges.get(rank);
            rankAndResult.put((long) merge[0] << 32 | merge[1], new int[] {rank, merge[2]});
        }
        List<Integer> parts = new ArrayList<>();
        for (int id : word) {
            parts.add(id);
        }
        while (true) {
            int best = -1;
            int bestRank = Integer.MAX_VALUE;
            for (int i = 0; i + 1 < parts.size(); i++) {
                int[] merge = rankAndResult.get((long) parts.get(i) << 32 | parts.get(i + 1));
                if (merge != null && merge[0] < bestRank) {
                    best = i;
                    bestRank = merge[0];
                }
            }
            if (best < 0) {
                return parts.stream().mapToInt(Integer::intValue).toArray();
            }
            parts.set(best, merges.get(bestRank)[2]);
            parts.remove(best + 1);
        }
    }

    /** Merges as a training makes them: of letters and of earlier results, equal texts with equal ids. */
    private static List<int[]> randomMerges(Random random, int count) {
        List<String> tokens = new ArrayList<>(List.of("a", "b", "c"));
        List<int[]> merges = new ArrayList<>();
        while (merges.size() < count) {
            int left = random.nextInt(tokens.size());
            int right = random.nextInt(tokens.size());
            String result = tokens.get(left) + tokens.get(right);
            boolean known = merges.stream().anyMatch(m -> m[0] == left && m[1] == right);
            if (!known && result.length() <= 12) {
                if (!tokens.contains(result)) {
                    tokens.add(result);
                }
                merges.add(new int[] {left, right, tokens.indexOf(result)});
            }
        }
        return merges;
    }

    private static int[] idOfByte() {
        int[] idOfByte = new int[256];
        Arrays.fill(idOfByte, -1);
        for (int i = 0; i < LETTERS; i++) {
            idOfByte['a' + i] = i;
        }
        return idOfByte;
    }
}
