package org.dolly4j;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Collectors;
import org.dolly4j.prompt.Conversation;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenLogprobs;

/** What to generate, and how. Immutable; made by a builder that starts from the text. */
public final class GenerationRequest {
    /** Most tokens of an answer unless the request says otherwise, as in Dolly's pipeline. */
    public static final int DEFAULT_MAX_NEW_TOKENS = 256;

    /** Most answers that one request may ask for: each takes some memory from its beginning to the request's end. */
    public static final int MAX_SEQUENCES = 10_000;

    private final Input input;
    private final Optional<SamplingOptions> sampling;
    private final OptionalInt maxNewTokens;
    private final OptionalInt sequences;
    private final OptionalLong seed;
    private final Optional<List<String>> stopStrings;
    private final List<Integer> stopTokenIds;
    private final boolean returnFullText;
    private final boolean allowSpecialTokensInText;
    private final Truncate truncate;
    private final Optional<Duration> deadline;
    private final String cacheSalt;
    private final Optional<BeamOptions> beams;
    private final OptionalInt topLogprobs;

    private GenerationRequest(Builder builder) {
        input = builder.input;
        sampling = builder.sampling;
        maxNewTokens = builder.maxNewTokens;
        sequences = builder.sequences;
        seed = builder.seed;
        stopStrings = builder.stopStrings;
        stopTokenIds = builder.stopTokenIds;
        returnFullText = builder.returnFullText;
        allowSpecialTokensInText = builder.allowSpecialTokensInText;
        truncate = builder.truncate;
        deadline = builder.deadline;
        cacheSalt = builder.cacheSalt;
        beams = builder.beams;
        topLogprobs = builder.topLogprobs;
    }

    /** What the model is to go on from. */
    sealed interface Input {
        /** The text that the answer goes on from, or answers. */
        String text();

        /** An instruction, and maybe the text that it is about. */
        record Instruction(String text, Optional<String> context) implements Input {}

        /** A chat. */
        record Chat(Conversation conversation) implements Input {
            @Override
            public String text() {
                return conversation.question();
            }
        }

        /** A text without template. */
        record Raw(String text) implements Input {}
    }

    /** An instruction in Dolly's template. */
    public static Builder forInstruction(String instruction) {
        Objects.requireNonNull(instruction, "instruction");
        return new Builder(new Input.Instruction(instruction, Optional.empty()));
    }

    /**
     * An instruction and the text that it is about, in Dolly's template. An empty context is none, as for the trainer
     * that Dolly comes from.
     */
    public static Builder forInstruction(String instruction, String context) {
        Objects.requireNonNull(instruction, "instruction");
        Objects.requireNonNull(context, "context");
        return new Builder(
                new Input.Instruction(instruction, Optional.of(context).filter(text -> !text.isEmpty())));
    }

    /**
     * The last turn of a chat, in Dolly's template; earlier exchanges that do not fit into the context are left out.
     */
    public static Builder forConversation(Conversation conversation) {
        return new Builder(new Input.Chat(Objects.requireNonNull(conversation, "conversation")));
    }

    /**
     * A text that the model continues as it stands, without template. Special tokens in it are recognised, and the
     * answer is the continuation with the white space at its ends; it stops at the end key and at the end of sequence.
     */
    public static Builder forPrompt(String prompt) {
        return new Builder(new Input.Raw(Objects.requireNonNull(prompt, "prompt")));
    }

    /** A text that others are scored after, see {@link Dolly#score(String, List)}; it may be empty. */
    static GenerationRequest forScoring(String prompt) {
        Builder builder = forPrompt(prompt);
        builder.mayBeEmpty = true;
        return builder.build();
    }

    Input input() {
        return input;
    }

    Optional<SamplingOptions> sampling() {
        return sampling;
    }

    OptionalInt maxNewTokens() {
        return maxNewTokens;
    }

    OptionalInt sequences() {
        return sequences;
    }

    OptionalLong seed() {
        return seed;
    }

    Optional<List<String>> stopStrings() {
        return stopStrings;
    }

    List<Integer> stopTokenIds() {
        return stopTokenIds;
    }

    boolean returnFullText() {
        return returnFullText;
    }

    boolean allowSpecialTokensInText() {
        return allowSpecialTokensInText;
    }

    Truncate truncate() {
        return truncate;
    }

    Optional<Duration> deadline() {
        return deadline;
    }

    String cacheSalt() {
        return cacheSalt;
    }

    Optional<BeamOptions> beams() {
        return beams;
    }

    OptionalInt topLogprobs() {
        return topLogprobs;
    }

    /** Sets options by name. */
    public static final class Builder {
        private final Input input;
        private Optional<SamplingOptions> sampling = Optional.empty();
        private OptionalInt maxNewTokens = OptionalInt.empty();
        private OptionalInt sequences = OptionalInt.empty();
        private OptionalLong seed = OptionalLong.empty();
        private Optional<List<String>> stopStrings = Optional.empty();
        private List<Integer> stopTokenIds = List.of();
        private boolean mayBeEmpty;
        private boolean returnFullText;
        private boolean allowSpecialTokensInText;
        private Truncate truncate = Truncate.NEVER;
        private Optional<Duration> deadline = Optional.empty();
        private String cacheSalt = "";
        private Optional<BeamOptions> beams = Optional.empty();
        private OptionalInt topLogprobs = OptionalInt.empty();

        private Builder(Input input) {
            this.input = input;
        }

        /** Sets how tokens are chosen; by default {@link Dolly#defaultSampling()}. */
        public Builder sampling(SamplingOptions value) {
            sampling = Optional.of(Objects.requireNonNull(value, "sampling"));
            return this;
        }

        /**
         * Sets the most tokens of each answer, at least 1. By default {@value #DEFAULT_MAX_NEW_TOKENS}, or what the
         * context and the KV cache have room for; a number that is set must fit with the prompt.
         */
        public Builder maxNewTokens(int value) {
            maxNewTokens = OptionalInt.of(value);
            return this;
        }

        /**
         * Sets how many answers are drawn, from 1 to {@link #MAX_SEQUENCES}. By default 1, or what
         * generation_config.json states as {@code num_return_sequences} where answers are drawn or searched for.
         */
        public Builder sequences(int value) {
            sequences = OptionalInt.of(value);
            return this;
        }

        /**
         * Sets the key of the random numbers; by default one is drawn. The first answer does not depend on their
         * number.
         */
        public Builder seed(long value) {
            seed = OptionalLong.of(value);
            return this;
        }

        /**
         * Sets texts that end an answer and are not part of it, none empty; by default those of generation_config.json.
         */
        public Builder stopStrings(List<String> value) {
            stopStrings = Optional.of(List.copyOf(Objects.requireNonNull(value, "stopStrings")));
            return this;
        }

        /** Sets tokens that end an answer, beside the end key; their text is part of it. By default none. */
        public Builder stopTokenIds(List<Integer> value) {
            stopTokenIds = List.copyOf(Objects.requireNonNull(value, "stopTokenIds"));
            return this;
        }

        /**
         * Sets whether the text is the instruction, a newline and the answer, as in Dolly's pipeline, or the raw prompt
         * and its continuation; by default it is the answer alone.
         */
        public Builder returnFullText(boolean value) {
            returnFullText = value;
            return this;
        }

        /**
         * Sets whether the text is taken as Hugging Face takes it: special tokens that stand in it are recognised, so
         * that it can forge template keys, and an empty instruction is accepted. By default special tokens in it are
         * plain text.
         */
        public Builder allowSpecialTokensInText(boolean value) {
            allowSpecialTokensInText = value;
            return this;
        }

        /** Sets what happens to a prompt that is too long; by default the request is refused. */
        public Builder truncate(Truncate value) {
            truncate = Objects.requireNonNull(value, "truncate");
            return this;
        }

        /**
         * Sets how long the request may take from its submission on, time in the queue included. Answers that are not
         * complete then end as they are (of {@link #beams}: without a token), within a step, with {@link
         * FinishReason#DEADLINE}. By default it may take any time.
         *
         * @param value more than nothing
         */
        public Builder deadline(Duration value) {
            deadline = Optional.of(Objects.requireNonNull(value, "deadline"));
            return this;
        }

        /**
         * Has the request share what is cached of prompts with those alone that have the same salt, such as the name of
         * a tenant: others cannot tell by the time to their first token what its prompt starts with. By default
         * requests share it with all that have no salt.
         *
         * @param value any text; an empty one is none
         */
        public Builder cacheSalt(String value) {
            cacheSalt = Objects.requireNonNull(value, "cacheSalt");
            return this;
        }

        /**
         * Looks for the likeliest answers by beam search, as Hugging Face's {@code generate} does with {@code
         * num_beams}. The {@link #sequences} are then the best answers found, at most as many as beams, and come when
         * the search has ended; nothing is drawn, so that {@link #sampling} must be without {@code doSample}, and is
         * greedy by default. A search that a deadline ends has no answer. By default there is no search, unless
         * generation_config.json states {@code num_beams} and nothing is drawn; one beam is no search either.
         */
        public Builder beams(BeamOptions value) {
            beams = Optional.of(Objects.requireNonNull(value, "beams"));
            return this;
        }

        /**
         * Has every token come with its log-probability, and with so many of the likeliest tokens at its place. By
         * default tokens come without.
         *
         * @param value from 0, for the token's own alone, to {@link TokenLogprobs#MAX_TOP}
         */
        public Builder topLogprobs(int value) {
            topLogprobs = OptionalInt.of(value);
            return this;
        }

        /**
         * The request.
         *
         * @throws IllegalArgumentException if the instruction or prompt is empty, or an option is out of its range
         */
        public GenerationRequest build() {
            checkText();
            require(maxNewTokens.orElse(1) >= 1, "maxNewTokens", maxNewTokens.orElse(1), "at least 1");
            int stated = sequences.orElse(1);
            require(
                    stated >= 1 && stated <= MAX_SEQUENCES,
                    "sequences",
                    stated,
                    String.format(Locale.ROOT, "from 1 to %,d", MAX_SEQUENCES));
            require(
                    stopTokenIds.stream().allMatch(id -> id >= 0),
                    "stopTokenIds",
                    stopTokenIds,
                    "token ids, 0 or more");
            require(
                    stopStrings.map(all -> !all.contains("")).orElse(true),
                    "stopStrings",
                    quoted(stopStrings.orElse(List.of())),
                    "without an empty text, which would end every answer at once");
            require(
                    deadline.map(time -> !time.isNegative() && !time.isZero()).orElse(true),
                    "deadline",
                    deadline.orElse(Duration.ZERO),
                    "longer than nothing");
            require(
                    stated <= beams.map(BeamOptions::beams).orElse(stated),
                    "sequences",
                    stated,
                    "at most the number of beams, which is "
                            + beams.map(BeamOptions::beams).orElse(0));
            require(
                    beams.isEmpty() || !sampling.map(SamplingOptions::doSample).orElse(false),
                    "doSample",
                    true,
                    "false with beams, which draw nothing");
            int top = topLogprobs.orElse(0);
            require(top >= 0 && top <= TokenLogprobs.MAX_TOP, "topLogprobs", top, "from 0 to " + TokenLogprobs.MAX_TOP);
            return new GenerationRequest(this);
        }

        private void checkText() {
            boolean raw = input instanceof Input.Raw;
            boolean accepted = raw
                    ? mayBeEmpty || !input.text().isEmpty()
                    : allowSpecialTokensInText || !input.text().isBlank();
            if (!accepted) {
                throw new IllegalArgumentException(
                        (raw ? "The prompt is empty" : "The instruction is empty") + ": say what the model is to do.");
            }
        }

        /** A list of texts in which an empty one can be seen. */
        private static String quoted(List<String> texts) {
            return texts.stream().map(text -> "'" + text + "'").collect(Collectors.joining(", ", "[", "]"));
        }

        private static void require(boolean holds, String option, Object value, String range) {
            if (!holds) {
                throw new IllegalArgumentException(option + " = " + value + " must be " + range + ".");
            }
        }
    }
}
