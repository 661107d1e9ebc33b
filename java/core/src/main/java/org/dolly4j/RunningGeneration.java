package org.dolly4j;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.concurrent.CancellationException;
import org.dolly4j.GenerationResult.Timings;
import org.dolly4j.engine.Event;
import org.dolly4j.engine.Finish;
import org.dolly4j.engine.Request;
import org.dolly4j.prompt.AnswerText;
import org.dolly4j.sampling.TokenLogprobs;
import org.dolly4j.tokenizer.Tokenizer;

/** The consumer's side of a request: turns its tokens into text on the thread that asks for it. For one thread. */
final class RunningGeneration {
    private final Request request;
    private final OptionalInt endKey;
    private final List<Answer> answers = new ArrayList<>();
    private Optional<TextPiece> last = Optional.empty();
    private Optional<Timings> timings = Optional.empty();
    private int unended;
    private boolean isOver;

    /** An answer so far. */
    private static final class Answer {
        final AnswerStream stream;
        final StringBuilder text;
        final List<Integer> tokens = new ArrayList<>();
        final List<TokenLogprobs> logprobs = new ArrayList<>();
        FinishReason finishReason = FinishReason.CANCELLED;
        OptionalDouble score = OptionalDouble.empty();
        String unshown;

        Answer(AnswerStream stream, String prefix) {
            this.stream = stream;
            this.text = new StringBuilder(prefix);
            this.unshown = prefix;
        }

        /** Adds text to the answer, and returns it with what no piece has shown yet. */
        String show(String more) {
            text.append(more);
            String shown = unshown + more;
            unshown = "";
            return shown;
        }

        Generation generation() {
            return new Generation(
                    text.toString(),
                    tokens.stream().mapToInt(Integer::intValue).toArray(),
                    logprobs,
                    score,
                    finishReason);
        }
    }

    /**
     * Follows a request.
     *
     * @param prefix text before every answer
     * @param endKey the end key, to tell it from other end tokens
     */
    RunningGeneration(Request request, Tokenizer tokenizer, AnswerText.Rules rules, OptionalInt endKey, String prefix) {
        this.request = request;
        this.endKey = endKey;
        unended = request.spec().sequences();
        for (int i = 0; i < request.spec().sequences(); i++) {
            answers.add(new Answer(new AnswerStream(tokenizer, rules), prefix));
        }
    }

    /**
     * Waits for the next piece of text; empty after the last one.
     *
     * @throws IllegalStateException if the model was closed
     * @throws DollyException if a step failed
     * @throws CancellationException if the thread was interrupted, which cancels the request
     */
    Optional<TextPiece> nextPiece() {
        Optional<TextPiece> piece = Optional.empty();
        while (piece.isEmpty() && !isOver) {
            piece = pieceOf(nextEvent());
        }
        return piece;
    }

    /** The next piece of text, if it is there; otherwise as {@link #nextPiece}, but that it waits for nothing. */
    Optional<TextPiece> pollPiece() {
        Optional<TextPiece> piece = Optional.empty();
        while (piece.isEmpty() && !isOver) {
            Event event = request.poll();
            if (event == null) {
                break;
            }
            piece = pieceOf(event);
        }
        return piece;
    }

    /** See {@link Request#onEvent}. */
    void onEvent(Runnable told) {
        request.onEvent(told);
    }

    /** What an event adds; the last piece of all is kept until the request has ended, which is at once. */
    private Optional<TextPiece> pieceOf(Event event) {
        if (event instanceof Event.Token token) {
            Answer answer = answers.get(token.sequence());
            String text = addToken(answer, token.token());
            token.logprobs().ifPresent(answer.logprobs::add);
            return piece(
                    token.sequence(),
                    text,
                    OptionalInt.of(token.token()),
                    token.logprobs(),
                    token.nanos(),
                    token.finish());
        }
        if (event instanceof Event.Score score) {
            answers.get(score.sequence()).score = OptionalDouble.of(score.score());
            return Optional.empty();
        }
        if (event instanceof Event.SequenceEnd end) {
            return piece(
                    end.sequence(), "", OptionalInt.empty(), Optional.empty(), end.nanos(), Optional.of(end.finish()));
        }
        isOver = true;
        if (event instanceof Event.Failed failed) {
            throw failure(failed.cause());
        }
        Event.Completed completed = (Event.Completed) event;
        timings = Optional.of(new Timings(
                Duration.ofNanos(completed.queuedNanos()),
                Duration.ofNanos(completed.firstTokenNanos()),
                Duration.ofNanos(completed.totalNanos())));
        return Optional.of(last.orElseThrow().withResult(result()));
    }

    private Optional<TextPiece> piece(
            int sequence,
            String text,
            OptionalInt token,
            Optional<TokenLogprobs> logprobs,
            long nanos,
            Optional<Finish> finish) {
        Answer answer = answers.get(sequence);
        String shown = text;
        if (finish.isPresent()) {
            shown += answer.show(answer.stream.finish());
            answer.finishReason = finishReason(answer, finish.get());
            unended--;
        }
        Optional<TextPiece> piece = Optional.of(new TextPiece(
                sequence,
                shown,
                token,
                logprobs,
                Duration.ofNanos(nanos),
                finish.map(reason -> answer.finishReason),
                Optional.empty()));
        if (unended == 0) {
            last = piece;
            return Optional.empty();
        }
        return piece;
    }

    private Event nextEvent() {
        try {
            return request.next();
        } catch (InterruptedException e) {
            request.cancel();
            Thread.currentThread().interrupt();
            CancellationException cancellation =
                    new CancellationException("Interrupted while waiting for the model; the request is cancelled.");
            cancellation.initCause(e);
            throw cancellation;
        }
    }

    private String addToken(Answer answer, int token) {
        answer.tokens.add(token);
        for (int end : request.spec().endIds()) {
            if (token == end) {
                return "";
            }
        }
        String text = answer.stream.append(token);
        return text.isEmpty() ? "" : answer.show(text);
    }

    private FinishReason finishReason(Answer answer, Finish finish) {
        return switch (finish) {
            case END_TOKEN -> {
                int last = answer.tokens.get(answer.tokens.size() - 1);
                yield endKey.isPresent() && endKey.getAsInt() == last ? FinishReason.END : FinishReason.EOS;
            }
            case STOP_TOKEN -> FinishReason.STOP;
            case STOP_CONDITION ->
                answer.stream.ending() == AnswerText.Ending.SPELT_KEY ? FinishReason.END : FinishReason.STOP;
            case LENGTH -> FinishReason.LENGTH;
            case DEADLINE -> FinishReason.DEADLINE;
            case CANCELLED -> FinishReason.CANCELLED;
        };
    }

    private static RuntimeException failure(Throwable cause) {
        return cause instanceof RuntimeException exception
                ? exception
                : new DollyException("The request failed unexpectedly: " + cause, cause);
    }

    /** Waits for the end of the request and returns all of it. */
    GenerationResult await() {
        while (nextPiece().isPresent()) {
            // Pieces are gathered as they pass.
        }
        return result();
    }

    /** All of an ended request. */
    GenerationResult result() {
        return new GenerationResult(
                answers.stream().map(Answer::generation).toList(),
                request.spec().prompt().length,
                request.spec().seed(),
                timings.orElseThrow());
    }

    /** Ends the request soon, if it has not ended. */
    void cancel() {
        request.cancel();
    }
}
