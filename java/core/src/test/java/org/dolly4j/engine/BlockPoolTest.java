package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.dolly4j.engine.BlockPool.Contents;
import org.dolly4j.runtime.DecoderSession;
import org.junit.jupiter.api.Test;

/** What blocks contain, and how they are found by that. */
class BlockPoolTest {
    private static final int TOKENS = 50_280;

    private static Contents contents(Random random) {
        return new Contents(
                BlockPool.NOTHING,
                "",
                random.ints(DecoderSession.BLOCK_SIZE, 0, TOKENS).toArray());
    }

    /** Two contents of one hash: a few of half a million have one in common. */
    private static Contents[] collision() {
        Random random = new Random(1);
        Map<Integer, Contents> byHash = new HashMap<>();
        while (true) {
            Contents next = contents(random);
            Contents before = byHash.put(next.hashCode(), next);
            if (before != null) {
                return new Contents[] {before, next};
            }
        }
    }

    @Test
    void otherTokensOfTheSameHash_areNotFound() {
        Contents[] two = collision();
        assertThat(two[0].hashCode()).isEqualTo(two[1].hashCode());
        BlockPool pool = new BlockPool(4, true);
        int block = pool.allocate();
        pool.identify(block, two[0]);
        assertThat(pool.find(two[1])).isNegative();
        int other = pool.allocate();
        assertThat(pool.identify(other, two[1])).isNotEqualTo(pool.identity(block));
        assertThat(pool.find(two[0])).isEqualTo(block);
        assertThat(pool.find(two[1])).isEqualTo(other);
    }

    @Test
    void sameTokens_afterOthersOrOfAnotherSalt_areNotFound() {
        int[] tokens = contents(new Random(2)).tokens();
        BlockPool pool = new BlockPool(4, true);
        int block = pool.allocate();
        long identity = pool.identify(block, new Contents(BlockPool.NOTHING, "", tokens));
        assertThat(pool.find(new Contents(BlockPool.NOTHING, "", tokens.clone())))
                .isEqualTo(block);
        assertThat(pool.find(new Contents(identity, "", tokens))).isNegative();
        assertThat(pool.find(new Contents(BlockPool.NOTHING, "tenant", tokens))).isNegative();
    }

    /** So few collide that a look-up is one comparison: also of tokens and blocks that are small numbers. */
    @Test
    void hashesOfAlikeContents_areSpread() {
        Map<Integer, Integer> counts = new HashMap<>();
        for (long before = 0; before < 100; before++) {
            for (int first = 0; first < 100; first++) {
                for (int last = 0; last < 10; last++) {
                    int[] tokens = new int[DecoderSession.BLOCK_SIZE];
                    tokens[0] = first;
                    tokens[DecoderSession.BLOCK_SIZE - 1] = last;
                    counts.merge(new Contents(before, "", tokens).hashCode(), 1, Integer::sum);
                }
            }
        }
        assertThat(counts).hasSizeGreaterThan(99_900);
    }

    @Test
    void blockThatNobodyHolds_isFoundUntilItsMemoryIsNeeded_theOneUnusedLongestFirst() {
        Random random = new Random(3);
        BlockPool pool = new BlockPool(2, true);
        Contents[] kept = {contents(random), contents(random)};
        int[] blocks = {pool.allocate(), pool.allocate()};
        for (int i = 0; i < 2; i++) {
            pool.identify(blocks[i], kept[i]);
        }
        pool.release(blocks[1]);
        pool.release(blocks[0]);
        assertThat(pool.availableCount()).isEqualTo(2);
        assertThat(pool.find(kept[1])).isEqualTo(blocks[1]);
        assertThat(pool.allocate()).isEqualTo(blocks[1]);
        assertThat(pool.find(kept[1])).isNegative();
        assertThat(pool.find(kept[0])).isEqualTo(blocks[0]);
    }
}
