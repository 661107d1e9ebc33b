package org.dolly4j.engine;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.dolly4j.sampling.Sampler;

/**
 * A request on its way. Its events wait here until someone takes them, so a slow consumer delays nobody.
 * {@link #cancel} may be called by any thread; events are for one thread at a time.
 */
public final class Request {
    private final RequestSpec spec;
    private final Sampler sampler;
    private final Consumer<Request> onCancel;
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final long submitted = System.nanoTime();
    private long queuedNanos = -1;
    private long firstTokenNanos = -1;
    private volatile boolean cancelled;
    private boolean ended;

    Request(RequestSpec spec, Sampler sampler, Consumer<Request> onCancel) {
        this.spec = spec;
        this.sampler = sampler;
        this.onCancel = onCancel;
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
        if (ended) {
            throw new IllegalStateException("The request has no more events: its last one was taken.");
        }
        Event event = events.take();
        ended = event instanceof Event.Completed || event instanceof Event.Failed;
        return event;
    }

    /**
     * Ends the request after the step that runs now, if it has not ended before; its sequences end as {@link
     * Finish#CANCELLED}.
     */
    public void cancel() {
        cancelled = true;
        onCancel.accept(this);
    }

    boolean isCancelled() {
        return cancelled;
    }

    Sampler sampler() {
        return sampler;
    }

    void start() {
        queuedNanos = sinceSubmission();
    }

    void emitToken(int sequence, int token) {
        if (firstTokenNanos < 0) {
            firstTokenNanos = sinceSubmission();
        }
        events.add(new Event.Token(sequence, token));
    }

    void emitEnd(int sequence, Finish finish) {
        events.add(new Event.SequenceEnd(sequence, finish));
    }

    void complete() {
        long total = sinceSubmission();
        events.add(new Event.Completed(
                queuedNanos < 0 ? total : queuedNanos, firstTokenNanos < 0 ? total : firstTokenNanos, total));
    }

    void fail(Throwable cause) {
        events.add(new Event.Failed(cause));
    }

    private long sinceSubmission() {
        return System.nanoTime() - submitted;
    }
}
