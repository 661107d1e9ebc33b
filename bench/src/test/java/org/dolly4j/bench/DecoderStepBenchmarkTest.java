package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.dolly4j.bench.DecoderStepBenchmark.Rows;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DecoderStepBenchmarkTest {
    @ParameterizedTest
    @EnumSource
    void everyStep_passesItsCheck_andRepeatsFromTheSameState(Rows rows) throws IOException {
        DecoderStepBenchmark benchmark = new DecoderStepBenchmark();
        benchmark.shape = "tiny";
        benchmark.dtype = WeightType.BFLOAT16;
        benchmark.threads = 1;
        benchmark.rows = rows;
        benchmark.prepare();
        assertThat(benchmark.step()).isEqualTo(benchmark.step());
        benchmark.close();
    }
}
