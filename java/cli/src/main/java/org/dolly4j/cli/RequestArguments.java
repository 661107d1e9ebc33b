package org.dolly4j.cli;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.IntFunction;
import org.dolly4j.DollyException;
import org.dolly4j.GenerationRequest;
import org.dolly4j.Truncate;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamOptions.EarlyStopping;
import org.dolly4j.sampling.SamplingOptions;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What a request asks for besides the text and the sampling. */
final class RequestArguments {
    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Most tokens of an answer; by default 256, or what the context has room for.")
    Optional<Integer> maxNewTokens = Optional.empty();

    @Option(
            names = {"-n", "--num-answers"},
            paramLabel = "N",
            description = "Number of answers to each instruction.")
    int answers = 1;

    @Option(
            names = "--num-beams",
            paramLabel = "N",
            description = "Look for the likeliest answers with N beams; nothing is drawn, and -n are the best ones.")
    Optional<Integer> beams = Optional.empty();

    @Option(
            names = "--length-penalty",
            paramLabel = "X",
            description = "With --num-beams: above 0 longer answers win more often, below 0 shorter ones; 1 unless"
                    + " given.")
    Optional<Double> lengthPenalty = Optional.empty();

    @Option(
            names = "--early-stopping",
            paramLabel = "WHEN",
            converter = EarlyStoppings.class,
            completionCandidates = EarlyStoppings.class,
            description = "With --num-beams, when to end: ${COMPLETION-CANDIDATES}. As soon as there are N answers"
                    + " (true), when a better one is unlikely (false, the default) or impossible (never).")
    Optional<EarlyStopping> earlyStopping = Optional.empty();

    @Option(
            names = {"-s", "--seed"},
            paramLabel = "N",
            description = "Key of the random numbers: the same seed gives the same answer.")
    Optional<Long> seed = Optional.empty();

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "Text that ends an answer and is not part of it. May be given more than once.")
    List<String> stopStrings = new ArrayList<>();

    @Option(
            names = "--stop-token-id",
            paramLabel = "ID",
            split = ",",
            description = "Token that ends an answer; its text is part of it. May be given more than once.")
    List<Integer> stopTokenIds = new ArrayList<>();

    @Option(
            names = "--truncate",
            paramLabel = "END",
            converter = NameConverter.Truncations.class,
            completionCandidates = NameConverter.Truncations.class,
            description = "Which end of a text that is too long for the model is cut off: ${COMPLETION-CANDIDATES}."
                    + " By default such a text is refused.")
    Truncate truncate = Truncate.NEVER;

    @Option(
            names = "--allow-special-tokens",
            description = "Take Dolly's keys (### End ...) in the text as keys, as Hugging Face does; by default"
                    + " they are plain text.")
    boolean allowSpecialTokens;

    @Option(
            names = "--top-logprobs",
            paramLabel = "N",
            description = "With --json: add the log-probability of each token, and the N likeliest ones at its place.")
    Optional<Integer> topLogprobs = Optional.empty();

    @Option(names = "--full-text", description = "Show the instruction and then the answer.")
    boolean fullText;

    /** Hugging Face's names of when a search ends. */
    static final class EarlyStoppings implements ITypeConverter<EarlyStopping>, Iterable<String> {
        private static final Map<String, EarlyStopping> NAMES = new TreeMap<>(Map.of(
                "false", EarlyStopping.HEURISTIC, "true", EarlyStopping.WHEN_FULL, "never", EarlyStopping.NEVER));

        @Override
        public EarlyStopping convert(String value) {
            return Optional.ofNullable(NAMES.get(value.toLowerCase(Locale.ROOT)))
                    .orElseThrow(() -> new TypeConversionException(
                            "expected " + String.join(" or ", NAMES.keySet()) + ", found '" + value + "'"));
        }

        @Override
        public Iterator<String> iterator() {
            return NAMES.keySet().iterator();
        }
    }

    /**
     * How the answers are looked for, if they are.
     *
     * @param defaults what to do with so many beams
     * @throws IllegalArgumentException if a value is out of its range, or there are no beams that it is for
     */
    Optional<BeamOptions> beams(IntFunction<BeamOptions> defaults) {
        if (beams.isEmpty() && (lengthPenalty.isPresent() || earlyStopping.isPresent())) {
            throw new IllegalArgumentException("--length-penalty and --early-stopping go with --num-beams only.");
        }
        return beams.map(defaults::apply)
                .map(options -> new BeamOptions(
                        options.beams(),
                        lengthPenalty.orElse(options.lengthPenalty()),
                        earlyStopping.orElse(options.earlyStopping())));
    }

    /**
     * A request for answers to a prompt. Unless given, a seed is drawn that is short enough to be typed again and that
     * no reader of JSON rounds.
     *
     * @throws IllegalArgumentException if a value is out of its range or the instruction is empty
     * @throws DollyException if the instruction is empty and stands in a file
     */
    GenerationRequest request(Prompt prompt, SamplingOptions sampling, Optional<BeamOptions> search) {
        if (!prompt.source().isEmpty() && prompt.instruction().isBlank() && !allowSpecialTokens) {
            throw new DollyException(prompt.source() + ": the instruction is empty.");
        }
        GenerationRequest.Builder builder = prompt.context()
                .map(context -> GenerationRequest.forInstruction(prompt.instruction(), context))
                .orElseGet(() -> GenerationRequest.forInstruction(prompt.instruction()))
                .sampling(sampling)
                .sequences(answers)
                .seed(seed.orElseGet(() -> (long) ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE)))
                .stopTokenIds(stopTokenIds)
                .truncate(truncate)
                .allowSpecialTokensInText(allowSpecialTokens)
                .returnFullText(fullText);
        search.ifPresent(builder::beams);
        topLogprobs.ifPresent(builder::topLogprobs);
        maxNewTokens.ifPresent(builder::maxNewTokens);
        if (!stopStrings.isEmpty()) {
            builder.stopStrings(stopStrings);
        }
        return builder.build();
    }
}
