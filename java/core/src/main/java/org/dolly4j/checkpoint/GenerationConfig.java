package org.dolly4j.checkpoint;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a model's generation_config.json states; where it states nothing (or the file is absent) the value is empty and
 * changes nothing. Names and meaning are those of Hugging Face's {@code GenerationConfig}. Values are of the right type
 * and finite; whether they are sensible is for sampling to say.
 *
 * @param bosTokenId begin-of-text token
 * @param eosTokenIds tokens that end generation; the file may state one or a list
 * @param padTokenId padding token
 * @param doSample draw (true) or take the most likely token (false)
 * @param temperature divides the logits
 * @param topK number of most likely tokens kept, 0 for all
 * @param topP probability mass kept
 * @param minP least probability kept, relative to the most likely token
 * @param typicalP probability mass kept of the tokens nearest to the expected information
 * @param epsilonCutoff least probability kept
 * @param etaCutoff least probability kept, adapted to the entropy
 * @param repetitionPenalty divides positive and multiplies negative logits of tokens seen
 * @param noRepeatNgramSize length of the token sequences that may occur only once, 0 for none
 * @param badWordsIds token sequences never generated
 * @param suppressTokens tokens never generated
 * @param beginSuppressTokens tokens never generated first
 * @param minLength least tokens of prompt and answer together
 * @param minNewTokens least tokens of the answer
 * @param maxLength most tokens of prompt and answer together
 * @param maxNewTokens most tokens of the answer
 * @param stopStrings texts that end generation
 * @param renormalizeLogits normalise after the processors
 * @param numBeams beams, 1 for none
 * @param numReturnSequences answers per prompt
 */
public record GenerationConfig(
        OptionalInt bosTokenId,
        List<Integer> eosTokenIds,
        OptionalInt padTokenId,
        Optional<Boolean> doSample,
        OptionalDouble temperature,
        OptionalInt topK,
        OptionalDouble topP,
        OptionalDouble minP,
        OptionalDouble typicalP,
        OptionalDouble epsilonCutoff,
        OptionalDouble etaCutoff,
        OptionalDouble repetitionPenalty,
        OptionalInt noRepeatNgramSize,
        List<List<Integer>> badWordsIds,
        List<Integer> suppressTokens,
        List<Integer> beginSuppressTokens,
        OptionalInt minLength,
        OptionalInt minNewTokens,
        OptionalInt maxLength,
        OptionalInt maxNewTokens,
        List<String> stopStrings,
        Optional<Boolean> renormalizeLogits,
        OptionalInt numBeams,
        OptionalInt numReturnSequences) {
    private static final Logger LOG = LoggerFactory.getLogger(GenerationConfig.class);

    /** Keys of {@code GenerationConfig} that change the text and have no counterpart here. */
    private static final List<String> UNSUPPORTED = List.of(
            "constraints",
            "diversity_penalty",
            "dola_layers",
            "encoder_repetition_penalty",
            "exponential_decay_length_penalty",
            "force_words_ids",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "guidance_scale",
            "penalty_alpha",
            "sequence_bias",
            "token_healing",
            "top_h",
            "watermarking_config");

    /** Copies the lists. */
    public GenerationConfig {
        eosTokenIds = List.copyOf(eosTokenIds);
        badWordsIds = badWordsIds.stream().map(List::copyOf).toList();
        suppressTokens = List.copyOf(suppressTokens);
        beginSuppressTokens = List.copyOf(beginSuppressTokens);
        stopStrings = List.copyOf(stopStrings);
    }

    /**
     * Takes the generation values out of a configuration: generation_config.json, or config.json, where older models
     * keep them.
     *
     * @throws org.dolly4j.CheckpointException if a value is of the wrong type
     */
    public static GenerationConfig of(ConfigValues values) {
        List<String> ignored = UNSUPPORTED.stream().filter(values::has).toList();
        if (!ignored.isEmpty()) {
            LOG.warn("{}: {} not supported, ignored.", values.file(), String.join(", ", ignored));
        }
        return new GenerationConfig(
                tokenOrNone(values, "bos_token_id"),
                values.integers("eos_token_id", 0, Integer.MAX_VALUE),
                tokenOrNone(values, "pad_token_id"),
                values.bool("do_sample"),
                values.number("temperature"),
                count(values, "top_k"),
                values.number("top_p"),
                values.number("min_p"),
                values.number("typical_p"),
                values.number("epsilon_cutoff"),
                values.number("eta_cutoff"),
                values.number("repetition_penalty"),
                count(values, "no_repeat_ngram_size"),
                values.integerLists("bad_words_ids", 0, Integer.MAX_VALUE),
                values.integers("suppress_tokens", 0, Integer.MAX_VALUE),
                values.integers("begin_suppress_tokens", 0, Integer.MAX_VALUE),
                count(values, "min_length"),
                count(values, "min_new_tokens"),
                count(values, "max_length"),
                count(values, "max_new_tokens"),
                values.strings("stop_strings"),
                values.bool("renormalize_logits"),
                count(values, "num_beams"),
                count(values, "num_return_sequences"));
    }

    /** Some older files spell "no such token" as -1. */
    private static OptionalInt tokenOrNone(ConfigValues values, String key) {
        OptionalInt token = values.integer(key, -1, Integer.MAX_VALUE);
        return token.isPresent() && token.getAsInt() >= 0 ? token : OptionalInt.empty();
    }

    private static OptionalInt count(ConfigValues values, String key) {
        return values.integer(key, 0, Integer.MAX_VALUE);
    }
}
