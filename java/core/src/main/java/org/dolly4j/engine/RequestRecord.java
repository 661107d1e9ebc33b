package org.dolly4j.engine;

import java.util.Arrays;

/**
 * What is recorded of one request: counts and times, all of these in nanoseconds since its submission, which is when
 * this object is made. For one thread at a time: whoever may change the request's state.
 */
final class RequestRecord {
    private static final long NONE = -1;

    private final EngineRecorder recorder;
    private final long number;
    private final RequestSpec spec;
    private final EngineEvents.Span span;
    private final long submitted = System.nanoTime();
    private final long[] lastTokens;
    private long queuedNanos = NONE;
    private long firstTokenNanos = NONE;
    private int cachedTokens;
    private long generatedTokens;

    RequestRecord(EngineRecorder recorder, long number, RequestSpec spec, EngineEvents.Span span) {
        this.recorder = recorder;
        this.number = number;
        this.spec = spec;
        this.span = span;
        lastTokens = new long[spec.sequences()];
        Arrays.fill(lastTokens, NONE);
    }

    /** The request was taken, and waits. */
    void queued() {
        recorder.counters().requestQueued();
    }

    /** The first step is about to run; some tokens of the prompt were found in the cache. */
    void began(int cached) {
        queuedNanos = sinceSubmission();
        cachedTokens = cached;
        recorder.requestBegan(this);
    }

    /**
     * A token was drawn. One that was given is none that the model wrote; those of a search come together at its end, so
     * that their times tell nothing.
     *
     * @return when
     */
    long tokenDrawn(int sequence) {
        long nanos = sinceSubmission();
        if (spec.isScoring()) {
            return nanos;
        }
        generatedTokens++;
        EngineCounters counters = recorder.counters();
        counters.token(submitted + nanos);
        if (spec.beams().isPresent()) {
            return nanos;
        }
        if (firstTokenNanos == NONE) {
            firstTokenNanos = nanos;
            counters.firstToken(nanos);
        }
        if (lastTokens[sequence] != NONE) {
            counters.tokenAfter(nanos - lastTokens[sequence]);
        }
        lastTokens[sequence] = nanos;
        return nanos;
    }

    /** The request has ended; comes just once. */
    void ended(Ending ending) {
        recorder.requestEnded(this, ending);
    }

    /** Drawing a token failed; the request ends soon. */
    void drawingFailed(Throwable thrown) {
        recorder.drawingFailed(this, thrown);
    }

    /** Counts from 1 in each engine, those that are refused included. */
    long number() {
        return number;
    }

    RequestSpec spec() {
        return spec;
    }

    EngineEvents.Span span() {
        return span;
    }

    long sinceSubmission() {
        return System.nanoTime() - submitted;
    }

    boolean hasBegun() {
        return queuedNanos != NONE;
    }

    /** Time until the first step; until now if there was none. */
    long queuedNanos() {
        return hasBegun() ? queuedNanos : sinceSubmission();
    }

    /** Time until the first token; until now if there was none. */
    long firstTokenNanos() {
        return firstTokenNanos == NONE ? sinceSubmission() : firstTokenNanos;
    }

    /** Tokens of the prompt that were in the cache when the request began. */
    int cachedTokens() {
        return cachedTokens;
    }

    /** Tokens of all sequences. */
    long generatedTokens() {
        return generatedTokens;
    }
}
