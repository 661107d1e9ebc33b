package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The filters of a real vocabulary's size, against their definitions by sorting in float64. */
class LargeVocabularyTest {
    private static final int VOCAB_SIZE = 50_280;
    private static final Map<Shape, Oracle> ORACLES = new EnumMap<>(Shape.class);

    /** Shapes of logits. */
    enum Shape {
        LANGUAGE,
        NORMAL,
        FLAT,
        EQUAL,
        TIES,
        PEAKED,
        /** The best token alone, far above a bulk that outweighs it. */
        SPLIT,
        WIDE,
        /** An evenly spread sample of the vocabulary would be nothing like it. */
        COMB,
        MOSTLY_IMPOSSIBLE,
        MOSTLY_LOWEST;

        float[] logits() {
            Random random = new Random(8);
            float[] logits = new float[VOCAB_SIZE];
            for (int id = 0; id < VOCAB_SIZE; id++) {
                double normal = random.nextGaussian();
                logits[id] = (float)
                        switch (this) {
                            case LANGUAGE -> 10 - 1.5 * Math.log(1 + random.nextInt(VOCAB_SIZE)) + 0.5 * normal;
                            case NORMAL -> 3 * normal;
                            case FLAT -> 0.01 * normal;
                            case EQUAL -> 1;
                            case TIES -> Math.rint(3 * normal);
                            case PEAKED -> id == 777 ? 60 : normal;
                            case SPLIT -> id == 777 ? 10 : 1.5 * normal;
                            case WIDE -> 1000 * normal;
                            case COMB -> id % (VOCAB_SIZE / 1024) == 0 ? 1 : 0.01 * normal;
                            case MOSTLY_IMPOSSIBLE -> id % 100 == 0 ? normal : Double.NEGATIVE_INFINITY;
                            case MOSTLY_LOWEST -> id % 100 == 0 ? normal : -Float.MAX_VALUE;
                        };
            }
            return logits;
        }
    }

    /** A softmax by {@link StrictMath#exp}, possible tokens only, best first and of ties the lowest id first. */
    private static final class Oracle {
        final List<Integer> order = new ArrayList<>();
        final double[] probabilities = new double[VOCAB_SIZE];
        final double entropy;
        final float[] logits;

        Oracle(Shape shape) {
            logits = shape.logits();
            for (int id = 0; id < VOCAB_SIZE; id++) {
                if (logits[id] > Float.NEGATIVE_INFINITY) {
                    order.add(id);
                }
            }
            order.sort(
                    Comparator.<Integer>comparingDouble(id -> 0.0 - logits[id]).thenComparing(id -> id));
            double max = logits[order.get(0)];
            double sum = 0;
            for (int id : order) {
                probabilities[id] = StrictMath.exp(logits[id] - max);
                sum += probabilities[id];
            }
            double information = 0;
            for (int id : order) {
                probabilities[id] /= sum;
                information += probabilities[id] * (StrictMath.log(sum) + max - logits[id]);
            }
            entropy = information;
        }

        int[] all(Predicate<Integer> condition) {
            return order.stream()
                    .filter(condition)
                    .mapToInt(Integer::intValue)
                    .sorted()
                    .toArray();
        }
    }

    @ParameterizedTest
    @EnumSource
    void topK_keepsTheBestAndTies(Shape shape) {
        Oracle oracle = ORACLES.computeIfAbsent(shape, Oracle::new);
        for (int k : new int[] {1, 2, 50, 700, 20_000, VOCAB_SIZE, Integer.MAX_VALUE}) {
            int last = oracle.order.get(Math.min(k, oracle.order.size()) - 1);

            assertThat(kept(oracle, SamplingOptions.builder().topK(k)))
                    .as("k = %d", k)
                    .isEqualTo(oracle.all(id -> oracle.logits[id] >= oracle.logits[last]));
        }
    }

    @ParameterizedTest
    @EnumSource
    void topP_keepsTheSmallestNucleus(Shape shape) {
        Oracle oracle = ORACLES.computeIfAbsent(shape, Oracle::new);
        for (double p : new double[] {0, 1e-6, 0.1, 0.5003, 0.92, 0.9991}) {
            List<Integer> nucleus = new ArrayList<>(List.of(oracle.order.get(0)));
            double sum = oracle.probabilities[nucleus.get(0)];
            while (sum < p - 1e-12) {
                int next = oracle.order.get(nucleus.size());
                nucleus.add(next);
                sum += oracle.probabilities[next];
            }

            assertThat(kept(oracle, SamplingOptions.builder().topP(p)))
                    .as("p = %s", p)
                    .isEqualTo(nucleus.stream()
                            .mapToInt(Integer::intValue)
                            .sorted()
                            .toArray());
        }
    }

    @ParameterizedTest
    @EnumSource
    void minP_comparesWithTheBest(Shape shape) {
        Oracle oracle = ORACLES.computeIfAbsent(shape, Oracle::new);
        double best = oracle.probabilities[oracle.order.get(0)];
        for (double p : new double[] {1e-5, 0.051, 0.9, 1}) {
            assertThat(kept(oracle, SamplingOptions.builder().minP(p)))
                    .as("p = %s", p)
                    .isEqualTo(oracle.all(id -> oracle.probabilities[id] >= p * best));
        }
    }

    @ParameterizedTest
    @EnumSource
    void epsilonAndEta_compareWithTheirThreshold(Shape shape) {
        Oracle oracle = ORACLES.computeIfAbsent(shape, Oracle::new);
        double best = oracle.probabilities[oracle.order.get(0)];
        for (double epsilon : new double[] {3e-7, 9.1e-4, 0.3}) {
            double eta = Math.min(epsilon, Math.sqrt(epsilon) * StrictMath.exp(-oracle.entropy));

            assertThat(kept(oracle, SamplingOptions.builder().epsilonCutoff(epsilon)))
                    .as("epsilon = %s", epsilon)
                    .isEqualTo(
                            oracle.all(id -> oracle.probabilities[id] >= epsilon || oracle.probabilities[id] == best));
            assertThat(kept(oracle, SamplingOptions.builder().etaCutoff(epsilon)))
                    .as("eta of epsilon = %s", epsilon)
                    .isEqualTo(oracle.all(id -> oracle.probabilities[id] >= eta || oracle.probabilities[id] == best));
        }
    }

    @ParameterizedTest
    @EnumSource
    void typical_keepsTheNearestToTheEntropy(Shape shape) {
        Oracle oracle = ORACLES.computeIfAbsent(shape, Oracle::new);
        double best = oracle.probabilities[oracle.order.get(0)];
        double[] distance = IntStream.range(0, VOCAB_SIZE)
                .mapToDouble(id -> Math.abs(-StrictMath.log(best)
                        + oracle.logits[oracle.order.get(0)]
                        - oracle.logits[id]
                        - oracle.entropy))
                .toArray();
        List<Integer> order = new ArrayList<>(oracle.order);
        order.sort(Comparator.comparingDouble(id -> distance[id]));
        for (double mass : new double[] {0.01, 0.2003, 0.95}) {
            int last = 0;
            double sum = oracle.probabilities[order.get(0)];
            while (sum < mass - 1e-12) {
                last++;
                sum += oracle.probabilities[order.get(last)];
            }
            double limit = distance[order.get(last)] + 1e-9;

            assertThat(kept(oracle, SamplingOptions.builder().typicalP(mass)))
                    .as("mass = %s", mass)
                    .isEqualTo(oracle.all(id -> distance[id] <= limit));
        }
    }

    private static int[] kept(Oracle oracle, SamplingOptions.Builder options) {
        return new Sampler(options.doSample(true).build(), VOCAB_SIZE, new int[0])
                .distribution(FloatBuffer.wrap(oracle.logits), new int[] {0}, 1, 1)
                .ids();
    }
}
