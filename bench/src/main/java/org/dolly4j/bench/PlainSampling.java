package org.dolly4j.bench;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.dolly4j.sampling.SamplingOptions;

/** What the sampling options that are benchmarked mean, as plain loops and sorts over the whole vocabulary. */
final class PlainSampling {
    private PlainSampling() {}

    /**
     * The probability of each token; without draws, 1 for the best.
     *
     * @param scores the logits; used up
     * @param history the tokens so far
     */
    static double[] probabilities(SamplingOptions options, float[] scores, int[] history) {
        penalize(options, scores, history);
        banRepeatedNgrams(options.noRepeatNgramSize(), scores, history);
        if (!options.doSample()) {
            double[] probabilities = new double[scores.length];
            probabilities[best(scores).get(0)] = 1;
            return probabilities;
        }
        for (int id = 0; id < scores.length; id++) {
            scores[id] /= (float) options.temperature();
        }
        if (options.topK() > 0) {
            float last = scores[best(scores).get(options.topK() - 1)];
            keep(scores, id -> scores[id] >= last);
        }
        if (options.topP() < 1) {
            keepUntil(options.topP(), scores, best(scores));
        }
        if (options.typicalP() < 1) {
            double[] probabilities = softmax(scores);
            double entropy = Arrays.stream(probabilities)
                    .filter(p -> p > 0)
                    .map(p -> -p * Math.log(p))
                    .sum();
            keepUntil(
                    options.typicalP(),
                    scores,
                    ascending(scores, id -> Math.abs(-Math.log(probabilities[id]) - entropy)));
        }
        return softmax(scores);
    }

    private static void penalize(SamplingOptions options, float[] scores, int[] history) {
        float penalty = (float) options.repetitionPenalty();
        Arrays.stream(history)
                .distinct()
                .forEach(id -> scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty);
    }

    private static void banRepeatedNgrams(int size, float[] scores, int[] history) {
        if (size == 0) {
            return;
        }
        int[] end = Arrays.copyOfRange(history, history.length - size + 1, history.length);
        for (int start = 0; start + size <= history.length; start++) {
            if (Arrays.equals(end, Arrays.copyOfRange(history, start, start + size - 1))) {
                scores[history[start + size - 1]] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    /** Keeps the first tokens of an order that have this probability together. */
    private static void keepUntil(double probability, float[] scores, List<Integer> order) {
        double[] probabilities = softmax(scores);
        Set<Integer> kept = new HashSet<>();
        double sum = 0;
        for (int i = 0; i < order.size() && sum < probability; i++) {
            kept.add(order.get(i));
            sum += probabilities[order.get(i)];
        }
        keep(scores, kept::contains);
    }

    private static void keep(float[] scores, IntPredicate kept) {
        for (int id = 0; id < scores.length; id++) {
            if (!kept.test(id)) {
                scores[id] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    private static List<Integer> best(float[] scores) {
        return ascending(scores, id -> -scores[id]);
    }

    private static List<Integer> ascending(float[] scores, IntToDoubleFunction key) {
        return IntStream.range(0, scores.length)
                .boxed()
                .sorted(Comparator.comparingDouble(key::applyAsDouble))
                .toList();
    }

    private static double[] softmax(float[] scores) {
        double max = scores[best(scores).get(0)];
        double[] probabilities = new double[scores.length];
        Arrays.setAll(probabilities, id -> Math.exp(scores[id] - max));
        double sum = Arrays.stream(probabilities).sum();
        Arrays.setAll(probabilities, id -> probabilities[id] / sum);
        return probabilities;
    }
}
