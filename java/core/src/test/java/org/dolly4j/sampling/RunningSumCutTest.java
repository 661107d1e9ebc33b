package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Comparator;
import java.util.Random;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RunningSumCutTest {
    private final Random random = new Random(3);
    private final RunningSumCut cut = new RunningSumCut();

    @Test
    void find_agreesWithSorting_onSpreadKeys() {
        for (int trial = 0; trial < 100; trial++) {
            compareWithSorting(1 + random.nextInt(2000), random::nextGaussian, random.nextDouble());
        }
    }

    @Test
    void find_agreesWithSorting_onTies() {
        for (int trial = 0; trial < 100; trial++) {
            compareWithSorting(1 + random.nextInt(300), () -> random.nextInt(5), random.nextDouble());
        }
    }

    @Test
    void find_agreesWithSorting_onKeysOfEverySize() {
        for (int trial = 0; trial < 100; trial++) {
            compareWithSorting(
                    1 + random.nextInt(300),
                    () -> Math.scalb(random.nextGaussian(), random.nextInt(2000) - 1074),
                    random.nextDouble());
        }
    }

    @Test
    void find_targetBeyondAllWeights_isTheGreatestKey() {
        double[] keys = {3, 9, 4};

        cut.find(keys, new double[] {1, 1, 1}, 3, 3.5);

        assertThat(cut.key()).isEqualTo(9);
        assertThat(cut.sumBelow()).isEqualTo(2);
    }

    @Test
    void find_targetZero_isTheLeastKey() {
        double[] keys = {3, 9, 2};

        cut.find(keys, new double[] {1, 1, 0.5}, 3, 0);

        assertThat(cut.key()).isEqualTo(2);
        assertThat(cut.sumBelow()).isZero();
        assertThat(cut.weight()).isEqualTo(0.5);
    }

    private void compareWithSorting(int count, DoubleSupplier keySource, double share) {
        double[] keys = IntStream.range(0, count)
                .mapToDouble(i -> keySource.getAsDouble())
                .toArray();
        double[] weights =
                IntStream.range(0, count).mapToDouble(i -> random.nextDouble()).toArray();
        double target =
                share * IntStream.range(0, count).mapToDouble(i -> weights[i]).sum();
        double[] copy = keys.clone();
        int[] order = IntStream.range(0, count)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> copy[i]))
                .mapToInt(Integer::intValue)
                .toArray();
        double sum = 0;
        int last = -1;
        while (last + 1 < count && sum < target) {
            last++;
            sum += weights[order[last]];
        }
        double expected = copy[order[Math.max(last, 0)]];
        double below = IntStream.range(0, count)
                .filter(i -> copy[i] < expected)
                .mapToDouble(i -> weights[i])
                .sum();

        cut.find(keys, weights.clone(), count, target);

        assertThat(cut.key()).isEqualTo(expected);
        assertThat(cut.sumBelow()).isEqualTo(below, within(1e-9));
    }
}
