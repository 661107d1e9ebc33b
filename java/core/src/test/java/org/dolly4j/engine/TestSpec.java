package org.dolly4j.engine;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;

/** Builds a {@link RequestSpec} of what a test cares about: by default one sequence, drawn as Dolly's, with seed 0. */
final class TestSpec {
    private static final int[] NONE = {};

    private final int[] prompt;
    private final int maxNewTokens;
    private int sequences = 1;
    private SamplingOptions sampling = SamplingOptions.dolly();
    private int[] endIds = NONE;
    private int[] stopIds = NONE;
    private StopCondition stopCondition = StopCondition.NEVER;
    private long seed;
    private Optional<Duration> deadline = Optional.empty();
    private String cacheSalt = "";
    private Optional<BeamOptions> beams = Optional.empty();
    private OptionalInt topLogprobs = OptionalInt.empty();

    TestSpec(int[] prompt, int maxNewTokens) {
        this.prompt = prompt;
        this.maxNewTokens = maxNewTokens;
    }

    TestSpec sequences(int value) {
        sequences = value;
        return this;
    }

    TestSpec sampling(SamplingOptions value) {
        sampling = value;
        return this;
    }

    TestSpec endIds(int... value) {
        endIds = value;
        return this;
    }

    TestSpec stopIds(int... value) {
        stopIds = value;
        return this;
    }

    TestSpec stopCondition(StopCondition value) {
        stopCondition = value;
        return this;
    }

    TestSpec seed(long value) {
        seed = value;
        return this;
    }

    TestSpec deadline(Duration value) {
        deadline = Optional.of(value);
        return this;
    }

    TestSpec cacheSalt(String value) {
        cacheSalt = value;
        return this;
    }

    /** Beam search, without the draws of the default. */
    TestSpec beams(BeamOptions value) {
        beams = Optional.of(value);
        sampling = SamplingOptions.greedy();
        return this;
    }

    TestSpec topLogprobs(int value) {
        topLogprobs = OptionalInt.of(value);
        return this;
    }

    RequestSpec build() {
        return new RequestSpec(
                prompt,
                sequences,
                maxNewTokens,
                sampling,
                endIds,
                stopIds,
                stopCondition,
                seed,
                deadline,
                cacheSalt,
                beams,
                topLogprobs,
                List.of());
    }
}
