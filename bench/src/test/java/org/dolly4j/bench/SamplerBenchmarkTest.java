package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.within;

import org.dolly4j.bench.SamplerBenchmark.Logits;
import org.dolly4j.bench.SamplerBenchmark.Options;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SamplerBenchmarkTest {
    @ParameterizedTest
    @EnumSource
    void everyOption_passesItsCheck(Options options) {
        for (Logits logits : Logits.values()) {
            SamplerBenchmark benchmark = new SamplerBenchmark();
            benchmark.options = options;
            benchmark.logits = logits;
            assertThatCode(benchmark::prepare).as(logits.toString()).doesNotThrowAnyException();
        }
    }

    /** By hand: logarithms of 0.4, 0.3, 0.2, 0.1. */
    @Test
    void plainDefinition_isRight() {
        SamplingOptions.Builder drawn = SamplingOptions.builder().doSample(true);
        assertProbabilities(drawn.topP(0.6).build(), 0.4 / 0.7, 0.3 / 0.7, 0, 0);
        assertProbabilities(drawn.topP(1).topK(3).build(), 0.4 / 0.9, 0.3 / 0.9, 0.2 / 0.9, 0);
        // The entropy is 1.280 nats, the information 0.916, 1.204, 1.609, 2.303: nearest is token 1, then 2, 0, 3.
        assertProbabilities(drawn.topK(0).typicalP(0.45).build(), 0, 0.6, 0.4, 0);
        assertProbabilities(drawn.typicalP(0.2).build(), 0, 1, 0, 0);
        assertProbabilities(drawn.typicalP(1).temperature(0.5).build(), 16 / 30.0, 9 / 30.0, 4 / 30.0, 1 / 30.0);
        assertProbabilities(
                drawn.temperature(1).repetitionPenalty(2).build(), 0.4 / 0.63, 0.09 / 0.63, 0.04 / 0.63, 0.1 / 0.63);
        assertProbabilities(
                drawn.repetitionPenalty(1).noRepeatNgramSize(2).build(), 0.4 / 0.7, 0, 0.2 / 0.7, 0.1 / 0.7);
        assertProbabilities(SamplingOptions.greedy(), 1, 0, 0, 0);
    }

    private static void assertProbabilities(SamplingOptions options, double... expected) {
        float[] scores = {(float) Math.log(0.4), (float) Math.log(0.3), (float) Math.log(0.2), (float) Math.log(0.1)};
        double[] found = PlainSampling.probabilities(options, scores, new int[] {2, 1, 2});
        for (int id = 0; id < expected.length; id++) {
            assertThat(found[id]).as("%s: token %d", options, id).isEqualTo(expected[id], within(1e-6));
        }
    }
}
