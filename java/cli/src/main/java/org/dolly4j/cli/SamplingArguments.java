package org.dolly4j.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.dolly4j.sampling.SamplingOptions;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How tokens are chosen: Hugging Face's generation options. What is not given is as in Dolly's pipeline. */
final class SamplingArguments {
    @Option(names = "--greedy", description = "Take the best token at every step; nothing is drawn.")
    boolean greedy;

    @Option(
            names = "--temperature",
            paramLabel = "X",
            description = "Divisor of the scores: below 1 is safer, above 1 wilder.")
    Optional<Double> temperature = Optional.empty();

    @Option(names = "--top-k", paramLabel = "N", description = "Draw from the N best tokens only; 0 is off.")
    Optional<Integer> topK = Optional.empty();

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Draw from the best tokens that reach this probability together; 0.92 unless given.")
    Optional<Double> topP = Optional.empty();

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Drop tokens with less than this share of the best token's probability.")
    Optional<Double> minP = Optional.empty();

    @Option(
            names = "--typical-p",
            paramLabel = "P",
            description = "Draw from the most typical tokens that reach this probability together.")
    Optional<Double> typicalP = Optional.empty();

    @Option(names = "--epsilon-cutoff", paramLabel = "P", description = "Drop tokens less probable than this.")
    Optional<Double> epsilonCutoff = Optional.empty();

    @Option(
            names = "--eta-cutoff",
            paramLabel = "P",
            description = "Drop tokens less probable than this, or than less where much is possible.")
    Optional<Double> etaCutoff = Optional.empty();

    @Option(
            names = "--repetition-penalty",
            paramLabel = "X",
            description = "Above 1: tokens of prompt and answer become less likely to come again.")
    Optional<Double> repetitionPenalty = Optional.empty();

    @Option(names = "--no-repeat-ngram-size", paramLabel = "N", description = "No sequence of N tokens comes twice.")
    Optional<Integer> noRepeatNgramSize = Optional.empty();

    @Option(
            names = "--min-length",
            paramLabel = "N",
            description = "Tokens of prompt and answer before the answer may end.")
    Optional<Integer> minLength = Optional.empty();

    @Option(names = "--min-new-tokens", paramLabel = "N", description = "Tokens before the answer may end.")
    Optional<Integer> minNewTokens = Optional.empty();

    @Option(names = "--suppress-tokens", paramLabel = "ID", split = ",", description = "Tokens that never come.")
    List<Integer> suppressTokens = new ArrayList<>();

    @Option(
            names = "--begin-suppress-tokens",
            paramLabel = "ID",
            split = ",",
            description = "Tokens that the answer never begins with.")
    List<Integer> beginSuppressTokens = new ArrayList<>();

    @Option(
            names = "--bad-words-ids",
            paramLabel = "ID[,ID...]",
            converter = TokenSequence.Converter.class,
            description = "A sequence of tokens that is never completed. May be given several times.")
    List<TokenSequence> badWordsIds = new ArrayList<>();

    @Option(
            names = "--sequence-bias",
            paramLabel = "ID[,ID...]=X",
            converter = Bias.Converter.class,
            description =
                    "Add X to the score of the last of these tokens where the others stand before it. May be given"
                            + " several times.")
    List<Bias> sequenceBias = new ArrayList<>();

    @Option(
            names = "--forced-bos-token-id",
            paramLabel = "ID",
            description = "First token of the answer to a prompt of one token.")
    Optional<Integer> forcedBosTokenId = Optional.empty();

    @Option(
            names = "--forced-eos-token-id",
            paramLabel = "ID",
            split = ",",
            description = "Tokens of which the last one of an answer of --max-new-tokens is.")
    List<Integer> forcedEosTokenIds = new ArrayList<>();

    /** What is added to the score of a sequence of tokens, as one value of an option: {@code 318,407=-2.5}. */
    record Bias(List<Integer> ids, double value) {
        static final class Converter implements ITypeConverter<Bias> {
            @Override
            public Bias convert(String value) {
                int equals = value.lastIndexOf('=');
                try {
                    return new Bias(
                            TokenSequence.ids(value.substring(0, Math.max(0, equals))),
                            Double.parseDouble(value.substring(equals + 1)));
                } catch (NumberFormatException e) {
                    throw new TypeConversionException(
                            "expected token ids with commas between them, = and a number, found '" + value + "'");
                }
            }
        }
    }

    /** Token ids in order, as one value of an option: {@code 318,407}. */
    record TokenSequence(List<Integer> ids) {
        static List<Integer> ids(String value) {
            return Arrays.stream(value.split(",", -1))
                    .map(String::strip)
                    .map(Integer::valueOf)
                    .toList();
        }

        static final class Converter implements ITypeConverter<TokenSequence> {
            @Override
            public TokenSequence convert(String value) {
                try {
                    return new TokenSequence(ids(value));
                } catch (NumberFormatException e) {
                    throw new TypeConversionException(
                            "expected token ids with commas between them, found '" + value + "'");
                }
            }
        }
    }

    /**
     * These options over a model's own.
     *
     * @param searches whether answers are looked for by beam search
     * @throws IllegalArgumentException if a value is out of its range, or contradicts --greedy or a search
     */
    SamplingOptions over(SamplingOptions defaults, boolean searches) {
        SamplingOptions.Builder builder = defaults.toBuilder();
        boolean draws = Stream.of(temperature, topK, topP, minP, typicalP, epsilonCutoff, etaCutoff)
                .anyMatch(Optional::isPresent);
        if ((greedy || searches) && draws) {
            throw new IllegalArgumentException("With " + (greedy ? "--greedy" : "--num-beams")
                    + " nothing is drawn, so --temperature, --top-k, --top-p,"
                    + " --min-p, --typical-p, --epsilon-cutoff and --eta-cutoff have no meaning: leave out one or the"
                    + " other.");
        }
        if (greedy || draws) {
            builder.doSample(draws);
        }
        temperature.ifPresent(builder::temperature);
        topK.ifPresent(builder::topK);
        topP.ifPresent(builder::topP);
        minP.ifPresent(builder::minP);
        typicalP.ifPresent(builder::typicalP);
        epsilonCutoff.ifPresent(builder::epsilonCutoff);
        etaCutoff.ifPresent(builder::etaCutoff);
        repetitionPenalty.ifPresent(builder::repetitionPenalty);
        noRepeatNgramSize.ifPresent(builder::noRepeatNgramSize);
        minLength.ifPresent(builder::minLength);
        minNewTokens.ifPresent(builder::minNewTokens);
        forcedBosTokenId.ifPresent(builder::forcedBosTokenId);
        if (!forcedEosTokenIds.isEmpty()) {
            builder.forcedEosTokenIds(forcedEosTokenIds);
        }
        if (!sequenceBias.isEmpty()) {
            Map<List<Integer>, Double> biases = new LinkedHashMap<>();
            sequenceBias.forEach(bias -> biases.put(bias.ids, bias.value));
            builder.sequenceBias(biases);
        }
        if (!suppressTokens.isEmpty()) {
            builder.suppressTokens(suppressTokens);
        }
        if (!beginSuppressTokens.isEmpty()) {
            builder.beginSuppressTokens(beginSuppressTokens);
        }
        if (!badWordsIds.isEmpty()) {
            builder.badWordsIds(badWordsIds.stream().map(TokenSequence::ids).toList());
        }
        return builder.build();
    }
}
