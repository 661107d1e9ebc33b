package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SamplingOptionsTest {
    @Test
    void defaults_areGreedyAndBuildNoProcessor() {
        SamplingOptions options = SamplingOptions.builder().build();

        assertThat(options).isEqualTo(SamplingOptions.greedy());
        assertThat(options.doSample()).isFalse();
        assertThat(new Sampler(options, 10, new int[] {0}).processorNames()).isEmpty();
        assertThat(new Sampler(options.toBuilder().doSample(true).build(), 10, new int[] {0}).processorNames())
                .isEmpty();
    }

    @Test
    void dolly_isItsPipelinesDefault() {
        SamplingOptions options = SamplingOptions.dolly();

        assertThat(options.doSample()).isTrue();
        assertThat(options.topP()).isEqualTo(0.92);
        assertThat(options.topK()).isZero();
        assertThat(new Sampler(options, 10, new int[0]).processorNames()).containsExactly("TopPLogitsWarper");
    }

    @Test
    void toBuilder_keepsEveryOption() {
        SamplingOptions options = new SamplingOptions(
                true,
                0.7,
                5,
                0.8,
                0.1,
                0.9,
                0.01,
                0.02,
                Map.of(List.of(9, 10), -1.5),
                1.2,
                3,
                List.of(List.of(1, 2)),
                4,
                6,
                OptionalInt.of(11),
                List.of(12),
                List.of(7),
                List.of(8),
                true);

        assertThat(options.toBuilder().build()).isEqualTo(options);
    }

    @Test
    void lists_areCopied() {
        List<Integer> word = new ArrayList<>(List.of(1, 2));
        List<List<Integer>> words = new ArrayList<>(List.of(word));
        List<Integer> suppressed = new ArrayList<>(List.of(3));
        SamplingOptions options = SamplingOptions.builder()
                .badWordsIds(words)
                .suppressTokens(suppressed)
                .beginSuppressTokens(suppressed)
                .build();

        word.clear();
        words.clear();
        suppressed.clear();

        assertThat(options.badWordsIds()).containsExactly(List.of(1, 2));
        assertThat(options.suppressTokens()).containsExactly(3);
        assertThat(options.beginSuppressTokens()).containsExactly(3);
    }

    @ParameterizedTest
    @MethodSource
    void build_valueOutOfRange_namesOptionValueAndRange(
            String option, String range, SamplingOptions.Builder builder, String value) {
        assertThatIllegalArgumentException()
                .isThrownBy(builder::build)
                .withMessageStartingWith(option + " = " + value + " must be ")
                .withMessageContaining(range);
    }

    static Stream<Arguments> build_valueOutOfRange_namesOptionValueAndRange() {
        List<Double> notFinite = List.of(Double.POSITIVE_INFINITY, Double.NaN);
        List<Double> outsideClosed = List.of(-0.1, 1.1, Double.NaN);
        List<Double> outsideOpenAbove = List.of(-0.1, 1.0, Double.NaN);
        return Stream.of(
                        cases(
                                "temperature",
                                "greater than 0",
                                SamplingOptions.Builder::temperature,
                                List.of(0.0, -1.0)),
                        cases("temperature", "finite", SamplingOptions.Builder::temperature, notFinite),
                        cases("topK", "0 (off) or more", SamplingOptions.Builder::topK, List.of(-1)),
                        cases("topP", "[0, 1]", SamplingOptions.Builder::topP, outsideClosed),
                        cases("minP", "[0, 1]", SamplingOptions.Builder::minP, outsideClosed),
                        cases("typicalP", "(0, 1]", SamplingOptions.Builder::typicalP, List.of(0.0, 1.1, Double.NaN)),
                        cases("epsilonCutoff", "[0, 1)", SamplingOptions.Builder::epsilonCutoff, outsideOpenAbove),
                        cases("etaCutoff", "[0, 1)", SamplingOptions.Builder::etaCutoff, outsideOpenAbove),
                        cases(
                                "repetitionPenalty",
                                "greater than 0",
                                SamplingOptions.Builder::repetitionPenalty,
                                List.of(0.0, -1.0)),
                        cases("repetitionPenalty", "finite", SamplingOptions.Builder::repetitionPenalty, notFinite),
                        cases(
                                "noRepeatNgramSize",
                                "0 (off) or more",
                                SamplingOptions.Builder::noRepeatNgramSize,
                                List.of(-1)),
                        cases("minLength", "0 (off) or more", SamplingOptions.Builder::minLength, List.of(-1)),
                        cases("minNewTokens", "0 (off) or more", SamplingOptions.Builder::minNewTokens, List.of(-1)),
                        cases(
                                "badWordsIds",
                                "at least one",
                                SamplingOptions.Builder::badWordsIds,
                                List.of(List.of(List.of()))),
                        cases(
                                "badWordsIds",
                                "0 or more",
                                SamplingOptions.Builder::badWordsIds,
                                List.of(List.of(List.of(1, -1)))),
                        cases(
                                "sequenceBias",
                                "at least one",
                                SamplingOptions.Builder::sequenceBias,
                                List.of(Map.of(List.of(), 1.0), Map.of(List.of(1, -1), 1.0))),
                        cases(
                                "sequenceBias",
                                "finite",
                                SamplingOptions.Builder::sequenceBias,
                                List.of(Map.of(List.of(1), Double.NaN))),
                        cases(
                                "forcedEosTokenIds",
                                "0 or more",
                                SamplingOptions.Builder::forcedEosTokenIds,
                                List.of(List.of(-1))),
                        cases(
                                "suppressTokens",
                                "0 or more",
                                SamplingOptions.Builder::suppressTokens,
                                List.of(List.of(-1))),
                        cases(
                                "beginSuppressTokens",
                                "0 or more",
                                SamplingOptions.Builder::beginSuppressTokens,
                                List.of(List.of(-1))))
                .flatMap(stream -> stream);
    }

    private static <T> Stream<Arguments> cases(
            String option,
            String range,
            BiFunction<SamplingOptions.Builder, T, SamplingOptions.Builder> setter,
            List<T> values) {
        return values.stream()
                .map(value -> Arguments.of(
                        option, range, setter.apply(SamplingOptions.builder(), value), String.valueOf(value)));
    }

    @Test
    void build_temperatureZero_saysHowToBeGreedy() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SamplingOptions.builder().temperature(0).build())
                .withMessageContaining("doSample = false");
    }

    @Test
    void build_endsOfRanges_areAllowed() {
        assertThatCode(() -> SamplingOptions.builder()
                        .temperature(Double.MIN_VALUE)
                        .topP(0)
                        .minP(1)
                        .typicalP(1e-9)
                        .epsilonCutoff(0.999)
                        .etaCutoff(0.999)
                        .build())
                .doesNotThrowAnyException();
    }
}
