package org.dolly4j.checkpoint;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a model's generation_config.json states; where it states nothing (or the file is absent) the value is empty and
 * changes nothing. Names and meaning are those of Hugging Face's {@code GenerationConfig}. Values are of the right type
 * and finite; whether they are sensible is for sampling to say.
 *
 * <p>What Dolly's pipeline sets itself (do_sample, top_p, top_k, max_new_tokens) and what concerns batches of padded
 * prompts is not read.
 *
 * @param file the file it was read from
 * @param eosTokenIds tokens that end generation; the file may state one or a list
 * @param temperature divides the logits
 * @param minP least probability kept, relative to the most likely token
 * @param typicalP probability mass kept of the tokens nearest to the expected information
 * @param epsilonCutoff least probability kept
 * @param etaCutoff least probability kept, adapted to the entropy
 * @param sequenceBias added to the score of the last token of each sequence after the others
 * @param repetitionPenalty divides positive and multiplies negative logits of tokens seen
 * @param noRepeatNgramSize length of the token sequences that may occur only once, 0 for none
 * @param badWordsIds token sequences never generated
 * @param suppressTokens tokens never generated
 * @param beginSuppressTokens tokens never generated first
 * @param minLength least tokens of prompt and answer together
 * @param minNewTokens least tokens of the answer
 * @param forcedBosTokenId first token of the answer to a prompt of one token
 * @param forcedEosTokenIds tokens of which the last one of a full answer is
 * @param stopStrings texts that end generation
 * @param numBeams beams of a search for the likeliest answer, 1 for none
 * @param lengthPenalty exponent of the length that divides the score of a beam
 * @param earlyStopping when a search ends: {@code true}, {@code false} or {@code never}
 * @param numReturnSequences answers to a request that states no number
 * @param renormalizeLogits normalise after the processors
 */
public record GenerationConfig(
        Path file,
        List<Integer> eosTokenIds,
        OptionalDouble temperature,
        OptionalDouble minP,
        OptionalDouble typicalP,
        OptionalDouble epsilonCutoff,
        OptionalDouble etaCutoff,
        Map<List<Integer>, Double> sequenceBias,
        OptionalDouble repetitionPenalty,
        OptionalInt noRepeatNgramSize,
        List<List<Integer>> badWordsIds,
        List<Integer> suppressTokens,
        List<Integer> beginSuppressTokens,
        OptionalInt minLength,
        OptionalInt minNewTokens,
        OptionalInt forcedBosTokenId,
        List<Integer> forcedEosTokenIds,
        List<String> stopStrings,
        OptionalInt numBeams,
        OptionalDouble lengthPenalty,
        Optional<String> earlyStopping,
        OptionalInt numReturnSequences,
        Optional<Boolean> renormalizeLogits) {
    private static final Logger LOG = LoggerFactory.getLogger(GenerationConfig.class);

    private static final Object NEVER = "";
    private static final Set<Object> EMPTY = Set.of("[]", "{}");

    /**
     * Keys of {@code GenerationConfig} that change the answers and have no counterpart here, each with the value that
     * changes nothing, or {@link #NEVER}. An {@link #EMPTY} list or object changes nothing with any key.
     */
    private static final Map<String, Object> UNSUPPORTED = Map.ofEntries(
            Map.entry("constraints", NEVER),
            Map.entry("diversity_penalty", 0.0),
            Map.entry("dola_layers", NEVER),
            Map.entry("encoder_no_repeat_ngram_size", 0.0),
            Map.entry("encoder_repetition_penalty", 1.0),
            Map.entry("exponential_decay_length_penalty", NEVER),
            Map.entry("force_words_ids", NEVER),
            Map.entry("guidance_scale", 1.0),
            Map.entry("max_time", NEVER),
            Map.entry("num_beam_groups", 1.0),
            Map.entry("penalty_alpha", 0.0),
            Map.entry("prompt_lookup_num_tokens", 0.0),
            Map.entry("remove_invalid_values", false),
            Map.entry("token_healing", false),
            Map.entry("top_h", NEVER),
            Map.entry("watermarking_config", NEVER));

    /** Copies the lists. */
    public GenerationConfig {
        eosTokenIds = List.copyOf(eosTokenIds);
        sequenceBias = Collections.unmodifiableMap(new LinkedHashMap<>(sequenceBias)); // sums follow its order
        forcedEosTokenIds = List.copyOf(forcedEosTokenIds);
        badWordsIds = badWordsIds.stream().map(List::copyOf).toList();
        suppressTokens = List.copyOf(suppressTokens);
        beginSuppressTokens = List.copyOf(beginSuppressTokens);
        stopStrings = List.copyOf(stopStrings);
    }

    /**
     * Takes the generation values out of a configuration: generation_config.json, or config.json, where older models
     * keep them. Warns of each value that would change the answers and is not supported.
     *
     * @throws org.dolly4j.CheckpointException if a value is of the wrong type
     */
    public static GenerationConfig of(ConfigValues values) {
        for (String key : ignored(values)) {
            LOG.warn(
                    "{}: {} = {} is not supported and ignored.",
                    values.file(),
                    key,
                    values.plain(key).orElseThrow());
        }
        return new GenerationConfig(
                values.file(),
                values.integers("eos_token_id", 0, Integer.MAX_VALUE),
                values.number("temperature"),
                values.number("min_p"),
                values.number("typical_p"),
                values.number("epsilon_cutoff"),
                values.number("eta_cutoff"),
                values.weightedLists("sequence_bias", 0, Integer.MAX_VALUE),
                values.number("repetition_penalty"),
                count(values, "no_repeat_ngram_size"),
                values.integerLists("bad_words_ids", 0, Integer.MAX_VALUE),
                values.integers("suppress_tokens", 0, Integer.MAX_VALUE),
                values.integers("begin_suppress_tokens", 0, Integer.MAX_VALUE),
                count(values, "min_length"),
                count(values, "min_new_tokens"),
                values.integer("forced_bos_token_id", 0, Integer.MAX_VALUE),
                values.integers("forced_eos_token_id", 0, Integer.MAX_VALUE),
                values.strings("stop_strings"),
                values.integer("num_beams", 1, Integer.MAX_VALUE),
                values.number("length_penalty"),
                values.plain("early_stopping").map(String::valueOf),
                values.integer("num_return_sequences", 1, Integer.MAX_VALUE),
                values.bool("renormalize_logits"));
    }

    /** The keys that change the answers and are not supported. */
    static List<String> ignored(ConfigValues values) {
        return UNSUPPORTED.keySet().stream()
                .filter(key -> values.plain(key)
                        .filter(value -> !value.equals(UNSUPPORTED.get(key)) && !EMPTY.contains(value))
                        .isPresent())
                .sorted()
                .toList();
    }

    /** A negative count is none, as in Hugging Face. */
    private static OptionalInt count(ConfigValues values, String key) {
        OptionalInt count = values.integer(key, Integer.MIN_VALUE, Integer.MAX_VALUE);
        return count.isPresent() ? OptionalInt.of(Math.max(0, count.getAsInt())) : count;
    }
}
