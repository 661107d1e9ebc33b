package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EngineMetricsTest {
    private static Dolly load() {
        return Dolly.load(
                TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-ends"),
                DollyOptions.builder()
                        .tokenizer(TestTokenizers.published())
                        .threads(1)
                        .build());
    }

    private static GenerationRequest ask() {
        return GenerationRequest.forInstruction("Tell me a story about a fox.")
                .maxNewTokens(12)
                .seed(7)
                .build();
    }

    @Test
    void metrics_tellWhatWasDone_andStayAfterClose() {
        Dolly dolly = load();
        GenerationResult first = dolly.generate(ask());
        GenerationResult second = dolly.generate(ask());
        EngineMetrics metrics = dolly.metrics();
        dolly.close();

        int prompt = first.promptTokens();
        int found = (prompt - 1) / 16 * 16;
        assertThat(metrics.requests()).isEqualTo(new EngineMetrics.Requests(0, 0, 2, 0, 0, 0, 0));
        assertThat(metrics.tokens().generatedTokens()).isEqualTo(first.completionTokens() + second.completionTokens());
        assertThat(metrics.tokens().readPromptTokens()).isEqualTo(2 * prompt - found);
        assertThat(metrics.tokens().foundTokens()).isEqualTo(found);
        assertThat(metrics.tokens().hitRate()).isEqualTo(found / (2.0 * prompt), within(1e-9));
        assertThat(metrics.tokens().generatedPerSecond()).isPositive();
        assertThat(metrics.kvCache().totalTokens()).isEqualTo(dolly.info().kvCacheTokens());
        assertThat(metrics.kvCache().usedTokens()).isZero();
        assertThat(metrics.kvCache().keptTokens()).isGreaterThanOrEqualTo(found);
        assertThat(metrics.steps().count()).isEqualTo(metrics.latencies().step().count());
        assertThat(metrics.steps().rows())
                .as("the last token of each is drawn, not read")
                .isEqualTo(metrics.tokens().readPromptTokens()
                        + first.completionTokens()
                        + second.completionTokens()
                        - 2
                        + metrics.tokens().draftTokens()
                        - metrics.tokens().acceptedDraftTokens());
        assertThat(metrics.latencies().queue().count()).isEqualTo(2);
        assertThat(metrics.latencies().firstToken().max())
                .isLessThanOrEqualTo(
                        first.timings().total().plus(second.timings().total()))
                .isGreaterThanOrEqualTo(first.timings().firstToken());

        EngineMetrics closed = dolly.metrics();
        assertThat(closed.requests()).isEqualTo(metrics.requests());
        assertThat(closed.steps()).isEqualTo(metrics.steps());
        assertThat(closed.kvCache()).isEqualTo(metrics.kvCache());
    }

    @Test
    void withoutARequestYet_nothingIsCounted() {
        try (Dolly dolly = load()) {
            EngineMetrics metrics = dolly.metrics();
            assertThat(metrics.requests()).isEqualTo(new EngineMetrics.Requests(0, 0, 0, 0, 0, 0, 0));
            assertThat(metrics.tokens()).isEqualTo(new EngineMetrics.Tokens(0, 0, 0, 0, 0, 0, 0));
            assertThat(metrics.tokens().hitRate()).isZero();
            assertThat(metrics.kvCache().usedTokens() + metrics.kvCache().keptTokens())
                    .isZero();
        }
    }
}
