package org.dolly4j;

import org.dolly4j.checkpoint.GenerationConfig;
import org.dolly4j.sampling.SamplingOptions;

/** The sampling that Dolly's pipeline does by default with a checkpoint. */
final class DefaultSampling {
    private DefaultSampling() {}

    /**
     * The values of generation_config.json under those that the pipeline sets itself (do_sample, top_p 0.92, top_k 0),
     * as {@code model.generate} merges them.
     *
     * @throws CheckpointException if a value is out of its range
     */
    static SamplingOptions of(GenerationConfig config) {
        SamplingOptions.Builder builder = SamplingOptions.dolly().toBuilder();
        config.temperature().ifPresent(builder::temperature);
        config.minP().ifPresent(builder::minP);
        config.typicalP().ifPresent(builder::typicalP);
        config.epsilonCutoff().ifPresent(builder::epsilonCutoff);
        config.etaCutoff().ifPresent(builder::etaCutoff);
        config.repetitionPenalty().ifPresent(builder::repetitionPenalty);
        config.noRepeatNgramSize().ifPresent(builder::noRepeatNgramSize);
        config.minLength().ifPresent(builder::minLength);
        config.minNewTokens().ifPresent(builder::minNewTokens);
        config.renormalizeLogits().ifPresent(builder::renormalizeLogits);
        try {
            return builder.badWordsIds(config.badWordsIds())
                    .suppressTokens(config.suppressTokens())
                    .beginSuppressTokens(config.beginSuppressTokens())
                    .build();
        } catch (IllegalArgumentException e) {
            throw new CheckpointException("generation_config.json: " + e.getMessage(), e);
        }
    }
}
