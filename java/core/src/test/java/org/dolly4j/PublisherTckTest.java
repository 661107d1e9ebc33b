package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.Flow;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.reactivestreams.tck.TestEnvironment;
import org.reactivestreams.tck.flow.FlowPublisherVerification;
import org.testng.ITestNGListener;
import org.testng.ITestResult;
import org.testng.SkipException;
import org.testng.TestListenerAdapter;
import org.testng.TestNG;
import org.testng.annotations.AfterClass;

/** The rules of reactive streams for publishers, by their Technology Compatibility Kit, which is written for TestNG. */
class PublisherTckTest {
    /** Pieces are there within some milliseconds, and absence of a signal is waited for this long. */
    private static final TestEnvironment ENVIRONMENT = new TestEnvironment(3000, 100);

    /** As many pieces as tokens. Public, with a constructor without parameters, since TestNG makes it. */
    public static final class Verification extends FlowPublisherVerification<TextPiece> {
        private static final int MOST = 1000;

        private final Dolly dolly = Dolly.load(
                TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-ends"),
                DollyOptions.builder()
                        .tokenizer(TestTokenizers.published())
                        .threads(1)
                        .build());

        public Verification() {
            super(ENVIRONMENT);
        }

        @AfterClass
        public void close() {
            dolly.close();
        }

        @Override
        public long maxElementsFromPublisher() {
            return MOST;
        }

        @Override
        public Flow.Publisher<TextPiece> createFlowPublisher(long elements) {
            int tokens = (int) Math.max(1, Math.min(elements, MOST));
            return dolly.publisher(GenerationRequest.forInstruction("Tell me a story about a fox.")
                    .sampling(SamplingOptions.builder().minNewTokens(tokens).build())
                    .maxNewTokens(tokens)
                    .build());
        }

        @Override
        public void optional_spec105_emptyStreamMustTerminateBySignallingOnComplete() {
            throw new SkipException("There is no answer without a token.");
        }

        @Override
        public Flow.Publisher<TextPiece> createFailedFlowPublisher() {
            return dolly.publisher(
                    GenerationRequest.forInstruction("word ".repeat(3000)).build());
        }
    }

    @Test
    void publisher_keepsTheRulesOfReactiveStreams() {
        TestListenerAdapter outcome = new TestListenerAdapter();
        TestNG tests = new TestNG(false);
        tests.setTestClasses(new Class<?>[] {Verification.class});
        tests.addListener((ITestNGListener) outcome);
        tests.run();

        assertThat(outcome.getFailedTests().stream().map(PublisherTckTest::description))
                .isEmpty();
        assertThat(outcome.getConfigurationFailures()).isEmpty();
        assertThat(outcome.getPassedTests()).hasSizeGreaterThanOrEqualTo(22);
        // The kit lists rules that it has no test for as skipped; one test wants a publisher that never ends.
        assertThat(outcome.getSkippedTests().stream()
                        .map(ITestResult::getName)
                        .filter(name -> !name.startsWith("untested_") && !name.startsWith("optional_")))
                .containsExactly("required_spec317_mustNotSignalOnErrorWhenPendingAboveLongMaxValue");
    }

    private static String description(ITestResult failed) {
        return failed.getName() + ": " + failed.getThrowable();
    }
}
