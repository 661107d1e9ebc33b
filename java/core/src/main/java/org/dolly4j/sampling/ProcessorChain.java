package org.dolly4j.sampling;

import java.util.ArrayList;
import java.util.List;

/**
 * What options do to the scores, in the order of Hugging Face's {@code generate}: bias of sequences, repetition penalty,
 * n-grams, bad words, min length, min new tokens, forced tokens, suppressed tokens, and when sampling temperature,
 * top-k, top-p, min-p, typical, epsilon, eta; at last normalization. Neutral values build nothing.
 */
final class ProcessorChain {
    private final List<LogitsProcessor> processors = new ArrayList<>();
    private final List<LogitsWarper> warpers = new ArrayList<>();
    private final List<String> names = new ArrayList<>();

    /**
     * @param options what to build
     * @param vocabSize length of a logits row
     * @param eosIds end tokens
     * @param maxNewTokens most tokens of the answer
     * @throws IllegalArgumentException if {@code badWordsIds} or {@code sequenceBias} holds an id outside the vocabulary
     */
    ProcessorChain(SamplingOptions options, int vocabSize, int[] eosIds, int maxNewTokens) {
        if (!options.sequenceBias().isEmpty()) {
            add("SequenceBiasLogitsProcessor", LogitsProcessors.sequenceBias(options.sequenceBias(), vocabSize));
        }
        if (options.repetitionPenalty() != 1) {
            add(
                    "RepetitionPenaltyLogitsProcessor",
                    LogitsProcessors.repetitionPenalty(options.repetitionPenalty(), vocabSize));
        }
        if (options.noRepeatNgramSize() > 0) {
            add("NoRepeatNGramLogitsProcessor", LogitsProcessors.noRepeatNgram(options.noRepeatNgramSize()));
        }
        if (!options.badWordsIds().isEmpty()) {
            add("NoBadWordsLogitsProcessor", LogitsProcessors.noBadWords(options.badWordsIds(), eosIds, vocabSize));
        }
        LogitsProcessor minNewTokens = LogitsProcessors.minNewTokens(options.minNewTokens(), eosIds);
        if (options.minLength() > 0 && eosIds.length > 0) {
            // generate() sets min_length to prompt length + min_new_tokens where both are given.
            add(
                    "MinLengthLogitsProcessor",
                    options.minNewTokens() > 0
                            ? minNewTokens
                            : LogitsProcessors.minLength(options.minLength(), eosIds));
        }
        if (options.minNewTokens() > 0 && eosIds.length > 0) {
            add("MinNewTokensLengthLogitsProcessor", minNewTokens);
        }
        options.forcedBosTokenId()
                .ifPresent(id -> add("ForcedBOSTokenLogitsProcessor", LogitsProcessors.forcedBos(id)));
        if (!options.forcedEosTokenIds().isEmpty()) {
            add("ForcedEOSTokenLogitsProcessor", LogitsProcessors.forcedEos(options.forcedEosTokenIds(), maxNewTokens));
        }
        if (!options.suppressTokens().isEmpty()) {
            add("SuppressTokensLogitsProcessor", LogitsProcessors.suppressTokens(options.suppressTokens()));
        }
        if (!options.beginSuppressTokens().isEmpty()) {
            add(
                    "SuppressTokensAtBeginLogitsProcessor",
                    LogitsProcessors.suppressTokensAtBegin(options.beginSuppressTokens()));
        }
        if (options.doSample()) {
            addSampling(options);
        }
        if (options.renormalizeLogits()) {
            add("LogitNormalization", LogitsWarpers.normalization());
        }
    }

    private void addSampling(SamplingOptions options) {
        if (options.temperature() != 1) {
            add("TemperatureLogitsWarper", LogitsProcessors.temperature(options.temperature()));
        }
        if (options.topK() > 0) {
            add("TopKLogitsWarper", LogitsWarpers.topK(options.topK()));
        }
        if (options.topP() < 1) {
            add("TopPLogitsWarper", LogitsWarpers.topP(options.topP()));
        }
        if (options.minP() > 0) {
            add("MinPLogitsWarper", LogitsWarpers.minP(options.minP()));
        }
        if (options.typicalP() < 1) {
            add("TypicalLogitsWarper", LogitsWarpers.typical(options.typicalP()));
        }
        if (options.epsilonCutoff() > 0) {
            add("EpsilonLogitsWarper", LogitsWarpers.epsilon(options.epsilonCutoff()));
        }
        if (options.etaCutoff() > 0) {
            add("EtaLogitsWarper", LogitsWarpers.eta(options.etaCutoff()));
        }
    }

    private void add(String name, LogitsProcessor processor) {
        processors.add(processor);
        names.add(name);
    }

    private void add(String name, LogitsWarper warper) {
        warpers.add(warper);
        names.add(name);
    }

    /** Those that work on the scores of the whole vocabulary; they come first. */
    LogitsProcessor[] processors() {
        return processors.toArray(LogitsProcessor[]::new);
    }

    /** Those that work on the candidates. */
    LogitsWarper[] warpers() {
        return warpers.toArray(LogitsWarper[]::new);
    }

    /** Hugging Face's names of all, in order. */
    List<String> names() {
        return List.copyOf(names);
    }
}
