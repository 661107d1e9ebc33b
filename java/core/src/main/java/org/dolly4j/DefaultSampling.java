package org.dolly4j;

import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.DoublePredicate;
import org.dolly4j.checkpoint.GenerationConfig;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamOptions.EarlyStopping;
import org.dolly4j.sampling.SamplingOptions;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The sampling that Dolly's pipeline does by default with a checkpoint: the values of generation_config.json under
 * those that the pipeline sets itself (do_sample, top_p 0.92, top_k 0), as {@code model.generate} merges them. Values
 * that {@code generate} passes over, such as a cut-off of 1, are off; one that it refuses is refused when it is asked
 * for, so that it does not keep a model from being used in another way.
 */
final class DefaultSampling {
    private static final Logger LOG = LoggerFactory.getLogger(DefaultSampling.class);

    private final GenerationConfig config;

    DefaultSampling(GenerationConfig config) {
        this.config = config;
        if (config.numBeams().orElse(1) > 1) {
            LOG.warn(
                    "{}: num_beams = {} counts for requests that draw nothing (doSample = false); those that draw do so"
                            + " without beams.",
                    config.file(),
                    config.numBeams().getAsInt());
        }
    }

    /**
     * The default.
     *
     * @throws CheckpointException if a value is out of its range
     */
    SamplingOptions drawn() {
        SamplingOptions.Builder builder = SamplingOptions.dolly().toBuilder();
        config.temperature().ifPresent(builder::temperature);
        config.minP().ifPresent(builder::minP);
        where(config.typicalP(), p -> p < 1).ifPresent(builder::typicalP);
        where(config.epsilonCutoff(), DefaultSampling::cuts).ifPresent(builder::epsilonCutoff);
        where(config.etaCutoff(), DefaultSampling::cuts).ifPresent(builder::etaCutoff);
        return build(builder);
    }

    /**
     * The same with the best token at every step: what concerns draws alone is left out.
     *
     * @throws CheckpointException if another value is out of its range
     */
    SamplingOptions greedy() {
        return build(SamplingOptions.builder());
    }

    /**
     * The beam search of requests that draw nothing, as {@code generate} does it with {@code num_beams}; empty for none.
     *
     * @throws CheckpointException if a value is out of its range
     */
    Optional<BeamOptions> beams() {
        int beams = config.numBeams().orElse(1);
        return beams == 1 ? Optional.empty() : Optional.of(beams(beams));
    }

    /**
     * Beam search with so many beams.
     *
     * @throws CheckpointException if another value is out of its range, or the number is from the file and is
     */
    BeamOptions beams(int beams) {
        EarlyStopping earlyStopping = config.earlyStopping()
                .map(this::earlyStopping)
                .orElse(BeamOptions.of(1).earlyStopping());
        double lengthPenalty = config.lengthPenalty().orElse(BeamOptions.of(1).lengthPenalty());
        if (config.numBeams().orElse(1) != beams) {
            return new BeamOptions(beams, lengthPenalty, earlyStopping);
        }
        try {
            return new BeamOptions(beams, lengthPenalty, earlyStopping);
        } catch (IllegalArgumentException e) {
            throw new CheckpointException(
                    "%s: num_%s. Correct the file, or state the request's beams."
                            .formatted(config.file(), e.getMessage()),
                    e);
        }
    }

    /**
     * Answers to a request that states no number. Of the best token at every step there is one answer only, for which
     * {@code generate} refuses to be asked for more.
     *
     * @param sampling how tokens are chosen
     * @param search how answers are looked for, if they are
     * @throws CheckpointException if the number is more than one request, or a search of so many beams, may ask for
     */
    int sequences(SamplingOptions sampling, Optional<BeamOptions> search) {
        int stated = config.numReturnSequences().orElse(1);
        if (!sampling.doSample() && search.isEmpty()) {
            return 1;
        }
        int most = search.map(BeamOptions::beams).orElse(GenerationRequest.MAX_SEQUENCES);
        if (stated > most) {
            throw new CheckpointException(String.format(
                    Locale.ROOT,
                    "%s: num_return_sequences = %,d must be at most %,d%s. Correct the file, or state the request's"
                            + " sequences.",
                    config.file(),
                    stated,
                    most,
                    search.isPresent() ? ", the number of beams" : ""));
        }
        return stated;
    }

    private EarlyStopping earlyStopping(String stated) {
        return switch (stated) {
            case "false" -> EarlyStopping.HEURISTIC;
            case "true" -> EarlyStopping.WHEN_FULL;
            case "never" -> EarlyStopping.NEVER;
            default ->
                throw new CheckpointException(config.file() + ": early_stopping = " + stated
                        + " must be true, false or \"never\". Correct the file, or state the request's beams.");
        };
    }

    private SamplingOptions build(SamplingOptions.Builder builder) {
        config.repetitionPenalty().ifPresent(builder::repetitionPenalty);
        config.noRepeatNgramSize().ifPresent(builder::noRepeatNgramSize);
        config.minLength().ifPresent(builder::minLength);
        config.minNewTokens().ifPresent(builder::minNewTokens);
        config.renormalizeLogits().ifPresent(builder::renormalizeLogits);
        config.forcedBosTokenId().ifPresent(builder::forcedBosTokenId);
        builder.sequenceBias(config.sequenceBias())
                .badWordsIds(config.badWordsIds())
                .forcedEosTokenIds(config.forcedEosTokenIds())
                .suppressTokens(config.suppressTokens())
                .beginSuppressTokens(config.beginSuppressTokens());
        try {
            return builder.build();
        } catch (IllegalArgumentException e) {
            // The message begins with the option's name: here the file's key stands in its place.
            String[] message = e.getMessage().split(" ", 2);
            String key = message[0].replaceAll("[A-Z]", "_$0").toLowerCase(Locale.ROOT);
            throw new CheckpointException(
                    "%s: %s %s. Correct the file, or state the request's sampling."
                            .formatted(config.file(), key, message[1]),
                    e);
        }
    }

    private static boolean cuts(double cutoff) {
        return cutoff > 0 && cutoff < 1;
    }

    private static OptionalDouble where(OptionalDouble value, DoublePredicate counts) {
        return value.isPresent() && counts.test(value.getAsDouble()) ? value : OptionalDouble.empty();
    }
}
