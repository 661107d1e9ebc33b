package org.dolly4j;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.dolly4j.prompt.Conversation;
import org.dolly4j.prompt.Prompt;
import org.dolly4j.prompt.Prompt.Kind;
import org.dolly4j.prompt.PromptTemplate;
import org.dolly4j.prompt.PythonWhitespace;
import org.dolly4j.tokenizer.Tokenizer;

/** Turns requests into prompt tokens that leave room for the answer. */
final class PromptEncoder {
    /** Characters of a text in a message. */
    private static final int SHOWN = 60;

    private final Tokenizer tokenizer;
    private final PromptTemplate template;
    private final int contextLength;
    private final int kvCacheTokens;

    /**
     * @param contextLength most tokens of prompt and answer that the model takes
     * @param kvCacheTokens tokens that the KV cache holds
     */
    PromptEncoder(Tokenizer tokenizer, TemplateTokens tokens, int contextLength, int kvCacheTokens) {
        this.tokenizer = tokenizer;
        this.template = new PromptTemplate(tokens.keys());
        this.contextLength = contextLength;
        this.kvCacheTokens = kvCacheTokens;
    }

    /**
     * A prompt ready for the model.
     *
     * @param ids its tokens
     * @param maxNewTokens most tokens of the answer
     * @param text what stands before the answer in a full text
     */
    record Encoded(int[] ids, int maxNewTokens, String text) {}

    /**
     * Encodes a request's prompt, and shortens it if the request says so.
     *
     * @throws ContextLengthException if prompt and answer exceed the context or the KV cache
     */
    Encoded encode(GenerationRequest request) {
        if (request.input() instanceof GenerationRequest.Input.Raw raw) {
            Fitted prompt = fit(raw.text(), request);
            return encoded(prompt.ids, request, prompt.text);
        }
        Conversation.Instruction instruction = instruction(request);
        Fitted fitted = fit(instruction, request);
        return encoded(fitted.ids, request, fitted.text + "\n");
    }

    /**
     * A prompt and what may follow it, both as tokens.
     *
     * @param prompt at least one token
     * @param continuations of at least one token each
     */
    record Scored(int[] prompt, List<int[]> continuations) {}

    /**
     * Encodes a prompt, and texts after it. After a template each is what an answer would be. A raw prompt and its
     * continuation are encoded as one text, as EleutherAI's lm-evaluation-harness does it, and white space at the
     * prompt's end counts to the continuation.
     *
     * @param endOfText what stands before a prompt that has no tokens, if the model knows one
     * @throws IllegalArgumentException if the continuation adds no token, or the prompt has none and cannot
     * @throws ContextLengthException if both exceed the context or the KV cache
     */
    Scored encode(GenerationRequest request, List<String> continuations, OptionalInt endOfText) {
        boolean special = request.allowSpecialTokensInText();
        Scored scored = request.input() instanceof GenerationRequest.Input.Raw raw
                ? encodeRaw(raw.text(), continuations, endOfText)
                : new Scored(
                        encode(instruction(request), request),
                        continuations.stream()
                                .map(text -> special ? tokenizer.encode(text) : tokenizer.encodeAsText(text))
                                .toList());
        for (int i = 0; i < continuations.size(); i++) {
            checkScored(continuations.get(i), scored.continuations.get(i), scored.prompt);
        }
        return scored;
    }

    private Scored encodeRaw(String text, List<String> continuations, OptionalInt endOfText) {
        int[] prompt = tokenizer.encode(PythonWhitespace.stripTrailing(text));
        List<int[]> encoded = continuations.stream()
                .map(continuation -> tokenizer.encode(text + continuation))
                .map(whole -> Arrays.copyOfRange(whole, Math.min(prompt.length, whole.length), whole.length))
                .toList();
        if (prompt.length > 0) {
            return new Scored(prompt, encoded);
        }
        int beginning = endOfText.orElseThrow(() -> new IllegalArgumentException("The prompt is white space, and the"
                + " model has no end-of-text token to stand before it: begin it with a word."));
        return new Scored(new int[] {beginning}, encoded);
    }

    private void checkScored(String continuation, int[] tokens, int[] prompt) {
        if (continuation.isEmpty()) {
            throw new IllegalArgumentException("A continuation is empty: there is nothing to score.");
        }
        if (tokens.length == 0) {
            throw new IllegalArgumentException("The continuation '" + shown(continuation)
                    + "' adds no token to the prompt: its beginning makes another token of the prompt's last one."
                    + " Begin it with a space if it is a word of its own.");
        }
        if (prompt.length + tokens.length > limit()) {
            throw tooLong(prompt.length + tokens.length, continuation);
        }
    }

    private ContextLengthException tooLong(int tokens, String continuation) {
        return new ContextLengthException(format(
                "With the continuation '%s' the prompt has %,d tokens, more than %s of %,d. Shorten it.",
                shown(continuation),
                tokens,
                limit() == contextLength ? "the model's context" : "the KV cache's room",
                limit()));
    }

    private static String shown(String text) {
        return text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "...";
    }

    private Encoded encoded(int[] ids, GenerationRequest request, String text) {
        int room = limit() - ids.length;
        int maxNewTokens = request.maxNewTokens().orElse(Math.min(GenerationRequest.DEFAULT_MAX_NEW_TOKENS, room));
        if (room < 1 || maxNewTokens > room) {
            throw tooLong(ids.length, request);
        }
        return new Encoded(ids, maxNewTokens, text);
    }

    /** Most tokens of prompt and answer together. */
    private int limit() {
        return Math.min(contextLength, kvCacheTokens);
    }

    private ContextLengthException tooLong(int promptTokens, GenerationRequest request) {
        int limit = limit();
        boolean inContext = limit == contextLength;
        String space = format(inContext ? "the model's context of %,d" : "the KV cache's room of %,d", limit);
        OptionalInt asked = request.maxNewTokens();
        String reason;
        if (request.truncate() != Truncate.NEVER) {
            reason = "however much of it is cut off, "
                    + (asked.isPresent()
                            ? format("with maxNewTokens = %,d it exceeds %s. Lower that.", asked.getAsInt(), space)
                            : space + " has no room for the template and an answer.");
        } else if (promptTokens >= limit || asked.isEmpty()) {
            reason = space + " has no room for it and an answer. Shorten it, or set truncate = HEAD or TAIL.";
        } else {
            reason = format(
                    "with maxNewTokens = %,d that exceeds %s. Shorten it, lower maxNewTokens to at most %,d, or set"
                            + " truncate = HEAD or TAIL.",
                    asked.getAsInt(), space, limit - promptTokens);
        }
        String largerCache = inContext ? "" : " There is more room if the model is loaded with a larger kvCacheTokens.";
        return new ContextLengthException(format("The prompt has %,d tokens; ", promptTokens) + reason + largerCache);
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    /** Tokens that a prompt may have where it can be shortened: half the room is enough for a default answer. */
    private int promptLimit(GenerationRequest request) {
        int limit = limit();
        return limit - request.maxNewTokens().orElse(Math.min(GenerationRequest.DEFAULT_MAX_NEW_TOKENS, limit / 2));
    }

    private Conversation.Instruction instruction(GenerationRequest request) {
        if (request.input() instanceof GenerationRequest.Input.Chat chat) {
            return chat.conversation()
                    .instruction(instruction -> encode(instruction, request).length <= promptLimit(request));
        }
        GenerationRequest.Input.Instruction given = (GenerationRequest.Input.Instruction) request.input();
        return new Conversation.Instruction(given.text(), given.context());
    }

    private int[] encode(Conversation.Instruction instruction, GenerationRequest request) {
        Prompt prompt = template.render(instruction.text(), instruction.context());
        if (request.allowSpecialTokensInText()) {
            return tokenizer.encode(prompt.text());
        }
        return prompt.segments().stream()
                .flatMapToInt(segment -> segment.kind() == Kind.KEY
                        ? IntStream.of(tokenizer.tokenId(segment.text()).orElseThrow())
                        : Arrays.stream(tokenizer.encodeAsText(segment.text())))
                .toArray();
    }

    private Fitted fit(Conversation.Instruction instruction, GenerationRequest request) {
        int[] ids = encode(instruction, request);
        if (request.truncate() == Truncate.NEVER || ids.length <= promptLimit(request)) {
            return new Fitted(instruction.text(), ids);
        }
        if (instruction.context().isPresent()) {
            Optional<Fitted> shorter = longestPart(
                    instruction.context().get(),
                    request,
                    text -> encode(new Conversation.Instruction(instruction.text(), Optional.of(text)), request));
            if (shorter.isPresent()) {
                return new Fitted(instruction.text(), shorter.get().ids);
            }
        }
        Conversation.Instruction alone = new Conversation.Instruction(instruction.text(), Optional.empty());
        int[] idsAlone = encode(alone, request);
        if (idsAlone.length <= promptLimit(request)) {
            return new Fitted(alone.text(), idsAlone);
        }
        return longestPart(
                        alone.text(),
                        request,
                        text -> encode(new Conversation.Instruction(text, Optional.empty()), request))
                .orElseThrow(() -> tooLong(ids.length, request));
    }

    private Fitted fit(String rawPrompt, GenerationRequest request) {
        int[] ids = tokenizer.encode(rawPrompt);
        if (request.truncate() == Truncate.NEVER || ids.length <= promptLimit(request)) {
            return new Fitted(rawPrompt, ids);
        }
        return longestPart(rawPrompt, request, tokenizer::encode).orElseThrow(() -> tooLong(ids.length, request));
    }

    /** A text that may have been shortened, and the tokens of the prompt that it stands in. */
    private record Fitted(String text, int[] ids) {}

    /**
     * The longest part of a text that is too long, from the end that is kept, with which the prompt is short enough;
     * empty if there is none. The text is cut, not the tokens, so the tokens are those that the shorter text has.
     */
    private Optional<Fitted> longestPart(String text, GenerationRequest request, Function<String, int[]> encode) {
        int limit = promptLimit(request);
        Optional<Fitted> longest = Optional.empty();
        int fits = 0;
        int tooLong = text.codePointCount(0, text.length());
        boolean foundEnd = false;
        int next = Math.max(limit, 1);
        while (tooLong - fits > 1) {
            next = Math.min(next, (fits + tooLong) >>> 1);
            String part = part(text, next, request.truncate());
            int[] ids = encode.apply(part);
            if (ids.length <= limit) {
                longest = Optional.of(new Fitted(part, ids));
                fits = next;
            } else {
                tooLong = next;
                foundEnd = true;
            }
            // Doubles until something is too long, so that only a part of a very long text is ever encoded here.
            next = foundEnd ? tooLong : 2 * fits;
        }
        return longest;
    }

    private static String part(String text, int codePoints, Truncate truncate) {
        return truncate == Truncate.HEAD
                ? text.substring(text.offsetByCodePoints(text.length(), -codePoints))
                : text.substring(0, text.offsetByCodePoints(0, codePoints));
    }
}
