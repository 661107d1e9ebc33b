package org.dolly4j.engine;

import java.time.Duration;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * A request on its way. Its events wait here until someone takes them, so a slow consumer delays nobody.
 * {@link #cancel} may be called by any thread; events are for one thread at a time.
 */
public final class Request {
    /** Who may end a request: whoever takes it out of the queue. From then on the engine alone. */
    private enum State {
        WAITING,
        RUNNING,
        ENDED
    }

    private final RequestSpec spec;
    private final Sampler sampler;

    /** Of the sequences that run but for the first one: they may be drawn for at the same time. */
    private final Map<Integer, Sampler> samplers = new HashMap<>();

    private final Consumer<Request> onCancel;
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final AtomicReference<State> state = new AtomicReference<>(State.WAITING);
    private final BitSet endedSequences = new BitSet();
    private final RequestRecord record;
    private final long deadlineNanos;
    private boolean lastEventTaken;
    private volatile Runnable listener;

    /**
     * @param record what is recorded of the request
     * @param sampler of the first sequence
     * @param onCancel told, on the thread that cancels it, when the request is cancelled before it has ended
     */
    Request(RequestSpec spec, RequestRecord record, Sampler sampler, Consumer<Request> onCancel) {
        this.spec = spec;
        this.record = record;
        this.sampler = sampler;
        this.onCancel = onCancel;
        deadlineNanos = spec.deadline().map(Request::nanos).orElse(Long.MAX_VALUE);
    }

    private static long nanos(Duration duration) {
        return TimeUnit.NANOSECONDS.convert(duration);
    }

    /** What was asked for. */
    public RequestSpec spec() {
        return spec;
    }

    /**
     * Waits for the next event.
     *
     * @throws IllegalStateException if the last event was taken before
     */
    public Event next() throws InterruptedException {
        checkNotOver();
        return note(events.take());
    }

    /**
     * The next event, or null if there is none yet.
     *
     * @throws IllegalStateException if the last event was taken before
     */
    public Event poll() {
        checkNotOver();
        return note(events.poll());
    }

    /**
     * Has someone told whenever an event came, on the engine's thread or the one that cancels, so at once and by no
     * user's code; and now, in case some came before.
     */
    public void onEvent(Runnable told) {
        listener = told;
        told.run();
    }

    private void checkNotOver() {
        if (lastEventTaken) {
            throw new IllegalStateException("The request has no more events: its last one was taken.");
        }
    }

    private Event note(Event event) {
        lastEventTaken = event instanceof Event.Completed || event instanceof Event.Failed;
        return event;
    }

    /**
     * Ends the request, at once if it waits, and after the step that runs now if it runs; its sequences that have not
     * ended before end as {@link Finish#CANCELLED}.
     */
    public void cancel() {
        if (leaveQueue(State.ENDED)) {
            endAll(Finish.CANCELLED);
        } else if (state.get() == State.ENDED) {
            return;
        }
        onCancel.accept(this);
    }

    private boolean leaveQueue(State next) {
        return state.compareAndSet(State.WAITING, next);
    }

    RequestRecord record() {
        return record;
    }

    /** That of a sequence that runs. */
    Sampler sampler(int sequence) {
        return sequence == 0 ? sampler : samplers.computeIfAbsent(sequence, index -> sampler.copy());
    }

    boolean hasEnded() {
        return state.get() == State.ENDED;
    }

    /**
     * The request's first step is about to run.
     *
     * @param cachedTokens tokens of the prompt that need not be read
     */
    void begin(int cachedTokens) {
        if (leaveQueue(State.RUNNING)) { // or else it was cancelled just before
            record.began(cachedTokens);
        }
    }

    /** A sequence has one more token, which may be its last. */
    void emitToken(int sequence, int token, Optional<TokenLogprobs> logprobs, Optional<Finish> finish) {
        long nanos = record.tokenDrawn(sequence);
        if (finish.isPresent()) {
            endedSequences.set(sequence);
            samplers.remove(sequence);
        }
        emit(new Event.Token(sequence, token, nanos, logprobs, finish));
    }

    /** A sequence is an answer with this score. */
    void emitScore(int sequence, double score) {
        emit(new Event.Score(sequence, score));
    }

    /** A sequence ends without a token. */
    void emitEnd(int sequence, Finish finish) {
        endedSequences.set(sequence);
        emit(new Event.SequenceEnd(sequence, record.sinceSubmission(), finish));
    }

    private void emit(Event event) {
        events.add(event);
        tell();
    }

    private void tell() {
        Runnable told = listener;
        if (told != null) {
            told.run();
        }
    }

    /** Ends the sequences that have not ended, and with them the request, unless it has ended. */
    void end(Finish finish) {
        if (leave()) {
            endAll(finish);
        }
    }

    /** Ends the request; all of its sequences have ended. */
    void complete() {
        if (leave()) {
            try {
                record.ended(Ending.COMPLETED);
            } finally {
                emitCompleted();
            }
        }
    }

    /** Breaks the request off, unless it has ended. */
    void fail(Throwable cause) {
        if (leave()) {
            try {
                record.ended(Ending.FAILED);
            } finally {
                emit(new Event.Failed(cause));
            }
        }
    }

    /** Only the engine's thread takes a request out of the state of running. */
    private boolean leave() {
        return leaveQueue(State.ENDED) || state.compareAndSet(State.RUNNING, State.ENDED);
    }

    private void endAll(Finish finish) {
        try {
            record.ended(finish == Finish.DEADLINE ? Ending.DEADLINE : Ending.CANCELLED);
        } finally {
            for (int i = endedSequences.nextClearBit(0); i < spec.sequences(); i = endedSequences.nextClearBit(i)) {
                endedSequences.set(i);
                events.add(new Event.SequenceEnd(i, record.sinceSubmission(), finish));
            }
            emitCompleted();
        }
    }

    private void emitCompleted() {
        emit(new Event.Completed(record.queuedNanos(), record.firstTokenNanos(), record.sinceSubmission()));
    }

    /** Whether the deadline has passed. */
    boolean isLate() {
        return record.sinceSubmission() > deadlineNanos;
    }

    /** Whether a first step has begun. */
    boolean hasBegun() {
        return record.hasBegun();
    }
}
