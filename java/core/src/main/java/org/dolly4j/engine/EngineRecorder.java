package org.dolly4j.engine;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.dolly4j.runtime.Batch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Told by the {@link Engine} what happens, and passes it on to counters, log and JDK Flight Recorder: as numbers and
 * names of classes, never with a prompt, an answer or a token id. Methods are for the engine's thread but where they
 * say otherwise.
 */
final class EngineRecorder {
    private static final Logger LOG = LoggerFactory.getLogger(Engine.class);

    private final String model;
    private final EngineCounters counters;
    private final EngineEvents events = EngineEvents.ofRuntime();
    private final WarningLimit rejectionWarnings = new WarningLimit(Duration.ofMinutes(1));
    private final AtomicLong requests = new AtomicLong();
    private long preemptionsLogged;

    /**
     * @param model its name in the log
     * @param blocks KV blocks
     */
    EngineRecorder(String model, int blocks) {
        this.model = model;
        counters = new EngineCounters(blocks);
    }

    EngineCounters counters() {
        return counters;
    }

    /** What is recorded of a request that is submitted now; from any thread. */
    RequestRecord newRequest(RequestSpec spec) {
        return new RequestRecord(this, requests.incrementAndGet(), spec, events.requestSubmitted());
    }

    /** A request was refused; from any thread. */
    void rejected(int waiting) {
        counters.requestRejected();
        long count = rejectionWarnings.count(System.nanoTime());
        if (count > 0) {
            LOG.warn(
                    "{}: {} refused, since {} requests wait for their turn, as many as the model was loaded for"
                            + " (maxQueuedRequests); said at most once a minute",
                    model,
                    count,
                    waiting);
        }
    }

    void requestBegan(RequestRecord request) {
        counters.requestBegan(request.queuedNanos());
        if (LOG.isDebugEnabled()) {
            LOG.debug(
                    "{}: request {} begins after {} ms: {} prompt tokens, {} of them cached; {} sequences of at most {}"
                            + " tokens",
                    model,
                    request.number(),
                    millis(request.queuedNanos()),
                    request.spec().prompt().length,
                    request.cachedTokens(),
                    request.spec().sequences(),
                    request.spec().maxNewTokens());
        }
    }

    /** A request that was queued, or began, has ended; from the thread that ended it. */
    void requestEnded(RequestRecord request, Ending ending) {
        counters.requestEnded(request.hasBegun(), ending);
        request.span().end(request, ending);
        if (LOG.isDebugEnabled()) {
            LOG.debug(
                    "{}: request {} ended as {} after {} ms: {}",
                    model,
                    request.number(),
                    ending,
                    millis(request.sinceSubmission()),
                    request.generatedTokens() == 0
                            ? "no token"
                            : request.generatedTokens() + " tokens, the first after "
                                    + millis(request.firstTokenNanos()) + " ms");
        }
    }

    /** A failure when a token was drawn. Its message is for who asked: it may tell of tokens. */
    void drawingFailed(RequestRecord request, Throwable thrown) {
        LOG.warn(
                "{}: request {} failed when a token was drawn, with {}",
                model,
                request.number(),
                thrown.getClass().getName());
    }

    void stepBegins() {
        events.stepBegins();
    }

    /**
     * A step has run.
     *
     * @param promptRows rows that read a token of a prompt
     * @param nanos how long it took
     */
    void stepEnded(Batch batch, int promptRows, long nanos) {
        counters.stepEnded(batch.rows(), promptRows, nanos);
        events.stepEnded(batch, promptRows, counters);
    }

    /** A step has run draft tokens of a sequence. */
    void draftsVerified(int drafts) {
        if (drafts > 0) {
            counters.draftsVerified(drafts);
        }
    }

    /** One of these is the token drawn. */
    void draftAccepted() {
        counters.draftAccepted();
    }

    void stepFailed(StepPlan plan, Throwable thrown) {
        LOG.error(
                "{}: a step of {} rows failed, and with it the requests of its {} sequences",
                model,
                plan.rows(),
                plan.slices().size(),
                thrown);
    }

    void loopFailed(Throwable thrown) {
        LOG.error("{}: a defect of the engine; all requests fail with it", model, thrown);
    }

    /** Sequences began or ended, or blocks changed hands. */
    void note(Scheduler scheduler, BlockPool pool) {
        counters.note(scheduler, pool);
        long preemptions = scheduler.preemptions();
        if (preemptions > preemptionsLogged) {
            LOG.debug(
                    "{}: KV cache full; {} sequences gave their blocks up, to go on later",
                    model,
                    preemptions - preemptionsLogged);
            preemptionsLogged = preemptions;
        }
    }

    private static long millis(long nanos) {
        return nanos / 1_000_000;
    }
}
