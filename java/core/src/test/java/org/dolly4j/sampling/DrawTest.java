package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.FloatBuffer;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;

/** Pearson's chi-square test of the drawn tokens, with fixed seeds; critical values for a significance of 0.1 %. */
class DrawTest {
    private static final int DRAWS = 100_000;

    /** Twenty tokens, of which top-k leaves twelve with probabilities from 0.4 % to 54 %. */
    private static final float[] LOGITS = {
        0, 5, -3, 2.5f, 1, 0.3f, -3, 4, 1.2f, -4, 3, 3, -5, -3, 0, 2, -6, -4, 0.9f, -9
    };

    private static final SamplingOptions OPTIONS =
            SamplingOptions.builder().doSample(true).topK(12).build();
    private static final double CRITICAL_11 = 31.26; // 11 degrees of freedom
    private static final double CRITICAL_9 = 27.88;
    private static final double CRITICAL_143 = 201.0;

    private final Sampler sampler = new Sampler(OPTIONS, LOGITS.length, new int[0]);
    private final FloatBuffer logits = FloatBuffer.wrap(LOGITS);
    private final int[] history = new int[DRAWS];

    @Test
    void tokensAlongAText_followTheDistribution() {
        assertThat(chiSquare(draw -> token(5, draw))).isLessThan(CRITICAL_11);
    }

    @Test
    void tokensOfNeighbouringSeeds_followTheDistribution() {
        assertThat(chiSquare(draw -> token(draw, 9))).isLessThan(CRITICAL_11);
        assertThat(chiSquare(draw -> token((long) draw << 32, 9))).isLessThan(CRITICAL_11);
    }

    @Test
    void neighbouringPositionsAndSeeds_areIndependent() {
        assertThat(chiSquareOfPairs(draw -> token(3, draw), draw -> token(3, draw + 1)))
                .isLessThan(CRITICAL_143);
        assertThat(chiSquareOfPairs(draw -> token(3, draw), draw -> token(4, draw)))
                .isLessThan(CRITICAL_143);
    }

    @Test
    void tokensOfAWholeVocabulary_followTheDistribution() {
        int vocabSize = 50_280;
        FloatBuffer flat = FloatBuffer.allocate(vocabSize);
        Sampler unfiltered =
                new Sampler(SamplingOptions.builder().doSample(true).build(), vocabSize, new int[0]);
        int[] counts = new int[10];
        int draws = 2000;

        for (int draw = 0; draw < draws; draw++) {
            counts[unfiltered.sample(flat, history, draw, 0, 1) * 10 / vocabSize]++;
        }

        double chiSquare = 0;
        for (int count : counts) {
            chiSquare += Math.pow(count - draws / 10.0, 2) / (draws / 10.0);
        }
        assertThat(chiSquare).isLessThan(CRITICAL_9);
    }

    private int token(long seed, int position) {
        return sampler.sample(logits, history, position, 0, seed);
    }

    private double chiSquare(IntUnaryOperator token) {
        int[] counts = new int[LOGITS.length];
        for (int draw = 0; draw < DRAWS; draw++) {
            counts[token.applyAsInt(draw)]++;
        }
        TokenDistribution expected = sampler.distribution(logits, history, 0, 0);
        assertThat(expected.ids()).hasSize(12);
        double chiSquare = 0;
        int drawn = 0;
        for (int i = 0; i < expected.ids().length; i++) {
            double mean = DRAWS * expected.probabilities()[i];
            int count = counts[expected.ids()[i]];
            chiSquare += (count - mean) * (count - mean) / mean;
            drawn += count;
        }
        assertThat(drawn).as("draws of tokens that the filter left").isEqualTo(DRAWS);
        return chiSquare;
    }

    private double chiSquareOfPairs(IntUnaryOperator first, IntUnaryOperator second) {
        TokenDistribution expected = sampler.distribution(logits, history, 0, 0);
        int pairs = DRAWS - 1;
        int[][] counts = new int[LOGITS.length][LOGITS.length];
        for (int draw = 0; draw < pairs; draw++) {
            counts[first.applyAsInt(draw)][second.applyAsInt(draw)]++;
        }
        double chiSquare = 0;
        for (int i = 0; i < expected.ids().length; i++) {
            for (int j = 0; j < expected.ids().length; j++) {
                double mean = pairs * expected.probabilities()[i] * expected.probabilities()[j];
                double off = counts[expected.ids()[i]][expected.ids()[j]] - mean;
                chiSquare += off * off / mean;
            }
        }
        return chiSquare;
    }
}
