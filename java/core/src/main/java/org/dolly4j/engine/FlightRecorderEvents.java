package org.dolly4j.engine;

import org.dolly4j.runtime.Batch;

/**
 * Events as JDK Flight Recorder takes them. While nothing is recorded, none is made, and nothing is measured for one.
 */
final class FlightRecorderEvents implements EngineEvents {
    /** Written anew for each step, which all run on one thread. */
    private final StepEvent step = new StepEvent();

    /** Tells whether requests are recorded; never written itself. */
    private final RequestEvent template = new RequestEvent();

    private boolean stepHasBegun;

    @Override
    public void stepBegins() {
        stepHasBegun = step.isEnabled();
        if (stepHasBegun) {
            step.begin();
        }
    }

    @Override
    public void stepEnded(Batch batch, int promptRows, EngineCounters counters) {
        if (!stepHasBegun) {
            return;
        }
        step.end();
        if (step.shouldCommit()) {
            step.rows = batch.rows();
            step.prefillRows = promptRows;
            step.sequences = batch.sequences();
            step.logitsRows = batch.logitsCount();
            step.waitingRequests = counters.waiting();
            step.usedKvBlocks = counters.usedBlocks();
            step.commit();
        }
    }

    @Override
    public Span requestSubmitted() {
        if (!template.isEnabled()) {
            return Span.UNRECORDED;
        }
        RequestEvent event = new RequestEvent();
        event.begin();
        return (request, ending) -> commit(event, request, ending);
    }

    private static void commit(RequestEvent event, RequestRecord request, Ending ending) {
        event.end();
        if (event.shouldCommit()) {
            event.number = request.number();
            event.promptTokens = request.spec().prompt().length;
            event.cachedTokens = request.cachedTokens();
            event.generatedTokens = request.generatedTokens();
            event.sequences = request.spec().sequences();
            event.queueTime = request.queuedNanos();
            event.firstTokenTime = request.firstTokenNanos();
            event.ending = ending.name();
            event.commit();
        }
    }
}
