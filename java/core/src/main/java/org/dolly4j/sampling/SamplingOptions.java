package org.dolly4j.sampling;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * How the next token is chosen. Names, meaning and ranges are those of Hugging Face's {@code GenerationConfig}
 * (transformers 5), in camel case. Made by {@link #builder}, {@link #greedy} or {@link #dolly}.
 *
 * <p>The defaults are neutral and greedy: an option that is not set changes nothing. (Hugging Face samples from the 50
 * best tokens where {@code top_k} is not set; here {@code topK} is then 0, as in Dolly's pipeline.) How many tokens a
 * request may generate, where it stops, and its seed belong to the request.
 *
 * @param doSample whether to draw from the distribution; if not, the best token is taken, and of the options below only
 *     those from {@code repetitionPenalty} on count. Default false
 * @param temperature divisor of the scores, finite and greater than 0; default 1
 * @param topK how many of the best tokens stay, and with them those that tie with the last; 0 (default) for all
 * @param topP the fewest best tokens stay that reach this probability together, at least one; in [0, 1], default 1
 *     (all)
 * @param minP least probability as a share of the best token's; in [0, 1], default 0 (none)
 * @param typicalP the fewest most typical tokens stay that reach this probability together (Meister et al. 2022); in
 *     (0, 1], default 1 (all)
 * @param epsilonCutoff least probability (Hewitt et al. 2022); in [0, 1), default 0 (none). The best token always stays
 * @param etaCutoff least probability, lowered where the entropy is high (Hewitt et al. 2022); in [0, 1), default 0
 *     (none). The best token always stays
 * @param sequenceBias what is added to the score of the last token of each sequence, where the tokens before it are the
 *     others: natural logarithms of how many times as likely it becomes; at least one token each, a finite number;
 *     default none
 * @param repetitionPenalty divisor of positive and factor of negative scores of all tokens in prompt and answer (Keskar
 *     et al. 2019); finite and greater than 0, default 1 (none)
 * @param noRepeatNgramSize length of token sequences that may occur only once; 0 (default) for no such rule
 * @param badWordsIds token sequences that are never completed, none empty; one that is a single end token has no effect
 * @param minLength tokens of prompt and answer together before an end token may come; default 0
 * @param minNewTokens tokens of the answer before an end token may come, default 0; takes the place of
 *     {@code minLength} if both are set
 * @param forcedBosTokenId the first token of the answer if the prompt has one token alone, as for models that begin with
 *     a token for the language; default none
 * @param forcedEosTokenIds tokens of which the answer's last one is, if nothing ended it before; default none
 * @param suppressTokens tokens that are never chosen; ids outside the vocabulary have no effect
 * @param beginSuppressTokens tokens that the answer never begins with; ids outside the vocabulary have no effect
 * @param renormalizeLogits whether the scores are made log-probabilities at last; changes no choice but those of beam
 *     search. Default false
 */
public record SamplingOptions(
        boolean doSample,
        double temperature,
        int topK,
        double topP,
        double minP,
        double typicalP,
        double epsilonCutoff,
        double etaCutoff,
        Map<List<Integer>, Double> sequenceBias,
        double repetitionPenalty,
        int noRepeatNgramSize,
        List<List<Integer>> badWordsIds,
        int minLength,
        int minNewTokens,
        OptionalInt forcedBosTokenId,
        List<Integer> forcedEosTokenIds,
        List<Integer> suppressTokens,
        List<Integer> beginSuppressTokens,
        boolean renormalizeLogits) {

    private static final SamplingOptions GREEDY = new Builder().build();
    private static final SamplingOptions DOLLY =
            new Builder().doSample(true).topP(0.92).topK(0).build();

    /**
     * Checks the ranges.
     *
     * @throws IllegalArgumentException if a value is out of its range; names the option, the value and the range
     */
    public SamplingOptions {
        String hint = temperature == 0 ? " (for the best token at every step set doSample = false)" : "";
        require(
                temperature > 0 && temperature < Double.POSITIVE_INFINITY,
                "temperature",
                temperature,
                "a finite number greater than 0" + hint);
        require(topK >= 0, "topK", topK, "0 (off) or more");
        require(topP >= 0 && topP <= 1, "topP", topP, "in [0, 1], where 1 is off");
        require(minP >= 0 && minP <= 1, "minP", minP, "in [0, 1], where 0 is off");
        require(typicalP > 0 && typicalP <= 1, "typicalP", typicalP, "in (0, 1], where 1 is off");
        require(epsilonCutoff >= 0 && epsilonCutoff < 1, "epsilonCutoff", epsilonCutoff, "in [0, 1), where 0 is off");
        require(etaCutoff >= 0 && etaCutoff < 1, "etaCutoff", etaCutoff, "in [0, 1), where 0 is off");
        require(
                repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY,
                "repetitionPenalty",
                repetitionPenalty,
                "a finite number greater than 0, where 1 is off");
        require(noRepeatNgramSize >= 0, "noRepeatNgramSize", noRepeatNgramSize, "0 (off) or more");
        require(minLength >= 0, "minLength", minLength, "0 (off) or more");
        require(minNewTokens >= 0, "minNewTokens", minNewTokens, "0 (off) or more");
        Map<List<Integer>, Double> biases = new LinkedHashMap<>();
        sequenceBias.forEach((sequence, bias) -> biases.put(List.copyOf(sequence), bias));
        sequenceBias = Collections.unmodifiableMap(biases);
        require(
                biases.entrySet().stream()
                        .allMatch(entry -> isSequence(entry.getKey()) && Double.isFinite(entry.getValue())),
                "sequenceBias",
                biases,
                "sequences of at least one token id, each id 0 or more, with finite numbers");
        int forcedBos = forcedBosTokenId.orElse(0);
        require(forcedBos >= 0, "forcedBosTokenId", forcedBos, "a token id, 0 or more");
        forcedEosTokenIds = List.copyOf(forcedEosTokenIds);
        require(!hasNegative(forcedEosTokenIds), "forcedEosTokenIds", forcedEosTokenIds, "token ids, each 0 or more");
        badWordsIds = badWordsIds.stream().map(List::copyOf).toList();
        suppressTokens = List.copyOf(suppressTokens);
        beginSuppressTokens = List.copyOf(beginSuppressTokens);
        require(
                badWordsIds.stream().allMatch(SamplingOptions::isSequence),
                "badWordsIds",
                badWordsIds,
                "sequences of at least one token id, each id 0 or more");
        require(!hasNegative(suppressTokens), "suppressTokens", suppressTokens, "token ids, each 0 or more");
        require(
                !hasNegative(beginSuppressTokens),
                "beginSuppressTokens",
                beginSuppressTokens,
                "token ids, each 0 or more");
    }

    private static boolean isSequence(List<Integer> ids) {
        return !ids.isEmpty() && !hasNegative(ids);
    }

    private static boolean hasNegative(List<Integer> ids) {
        return ids.stream().anyMatch(id -> id < 0);
    }

    private static void require(boolean holds, String option, Object value, String range) {
        if (!holds) {
            throw new IllegalArgumentException(option + " = " + value + " must be " + range);
        }
    }

    /** The best token at every step; nothing filtered. */
    public static SamplingOptions greedy() {
        return GREEDY;
    }

    /** What Dolly's own pipeline uses: sampling with {@code topP} 0.92 and no {@code topK}. */
    public static SamplingOptions dolly() {
        return DOLLY;
    }

    /** A builder that starts from {@link #greedy}. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder that starts from these options. */
    public Builder toBuilder() {
        Builder builder = new Builder()
                .doSample(doSample)
                .temperature(temperature)
                .topK(topK)
                .topP(topP)
                .minP(minP)
                .typicalP(typicalP)
                .epsilonCutoff(epsilonCutoff)
                .etaCutoff(etaCutoff)
                .sequenceBias(sequenceBias)
                .repetitionPenalty(repetitionPenalty)
                .noRepeatNgramSize(noRepeatNgramSize)
                .badWordsIds(badWordsIds)
                .minLength(minLength)
                .minNewTokens(minNewTokens)
                .forcedEosTokenIds(forcedEosTokenIds)
                .suppressTokens(suppressTokens)
                .beginSuppressTokens(beginSuppressTokens)
                .renormalizeLogits(renormalizeLogits);
        forcedBosTokenId.ifPresent(builder::forcedBosTokenId);
        return builder;
    }

    /** Sets options by name; meaning, range and default of each are those of the record's component. */
    public static final class Builder {
        private boolean doSample;
        private double temperature = 1;
        private int topK;
        private double topP = 1;
        private double minP;
        private double typicalP = 1;
        private double epsilonCutoff;
        private double etaCutoff;
        private Map<List<Integer>, Double> sequenceBias = Map.of();
        private double repetitionPenalty = 1;
        private int noRepeatNgramSize;
        private List<List<Integer>> badWordsIds = List.of();
        private int minLength;
        private int minNewTokens;
        private OptionalInt forcedBosTokenId = OptionalInt.empty();
        private List<Integer> forcedEosTokenIds = List.of();
        private List<Integer> suppressTokens = List.of();
        private List<Integer> beginSuppressTokens = List.of();
        private boolean renormalizeLogits;

        private Builder() {}

        /** Whether to draw. */
        public Builder doSample(boolean value) {
            doSample = value;
            return this;
        }

        /** Divisor of the scores. */
        public Builder temperature(double value) {
            temperature = value;
            return this;
        }

        /** How many of the best tokens stay. */
        public Builder topK(int value) {
            topK = value;
            return this;
        }

        /** Probability that the best tokens reach together. */
        public Builder topP(double value) {
            topP = value;
            return this;
        }

        /** Least probability as a share of the best token's. */
        public Builder minP(double value) {
            minP = value;
            return this;
        }

        /** Probability that the most typical tokens reach together. */
        public Builder typicalP(double value) {
            typicalP = value;
            return this;
        }

        /** Least probability. */
        public Builder epsilonCutoff(double value) {
            epsilonCutoff = value;
            return this;
        }

        /** Least probability, lowered where the entropy is high. */
        public Builder etaCutoff(double value) {
            etaCutoff = value;
            return this;
        }

        /** What is added to the score of tokens that complete sequences. */
        public Builder sequenceBias(Map<List<Integer>, Double> value) {
            sequenceBias = value;
            return this;
        }

        /** Penalty of tokens that occurred. */
        public Builder repetitionPenalty(double value) {
            repetitionPenalty = value;
            return this;
        }

        /** Length of sequences that may occur only once. */
        public Builder noRepeatNgramSize(int value) {
            noRepeatNgramSize = value;
            return this;
        }

        /** Sequences that are never completed. */
        public Builder badWordsIds(List<List<Integer>> value) {
            badWordsIds = value;
            return this;
        }

        /** Tokens of prompt and answer before an end token may come. */
        public Builder minLength(int value) {
            minLength = value;
            return this;
        }

        /** Tokens of the answer before an end token may come. */
        public Builder minNewTokens(int value) {
            minNewTokens = value;
            return this;
        }

        /** The first token of the answer to a prompt of one token. */
        public Builder forcedBosTokenId(int value) {
            forcedBosTokenId = OptionalInt.of(value);
            return this;
        }

        /** Tokens of which the last one of a full answer is. */
        public Builder forcedEosTokenIds(List<Integer> value) {
            forcedEosTokenIds = value;
            return this;
        }

        /** Tokens that are never chosen. */
        public Builder suppressTokens(List<Integer> value) {
            suppressTokens = value;
            return this;
        }

        /** Tokens that the answer never begins with. */
        public Builder beginSuppressTokens(List<Integer> value) {
            beginSuppressTokens = value;
            return this;
        }

        /** Whether the scores are made log-probabilities at last. */
        public Builder renormalizeLogits(boolean value) {
            renormalizeLogits = value;
            return this;
        }

        /**
         * Builds the options.
         *
         * @throws IllegalArgumentException if a value is out of its range; names the option, the value and the range
         */
        public SamplingOptions build() {
            return new SamplingOptions(
                    doSample,
                    temperature,
                    topK,
                    topP,
                    minP,
                    typicalP,
                    epsilonCutoff,
                    etaCutoff,
                    sequenceBias,
                    repetitionPenalty,
                    noRepeatNgramSize,
                    badWordsIds,
                    minLength,
                    minNewTokens,
                    forcedBosTokenId,
                    forcedEosTokenIds,
                    suppressTokens,
                    beginSuppressTokens,
                    renormalizeLogits);
        }
    }
}
