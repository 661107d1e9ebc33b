package org.dolly4j.engine;

import org.dolly4j.runtime.Batch;

/** Where events for JDK Flight Recorder go. Steps are told of on the engine's thread, requests on any. */
interface EngineEvents {
    /** A request on its way. */
    interface Span {
        /** Nobody records it. */
        Span UNRECORDED = (request, ending) -> {};

        /** The request has ended. */
        void end(RequestRecord request, Ending ending);
    }

    /** Those of this runtime: they go nowhere where it has no module {@code jdk.jfr}. */
    static EngineEvents ofRuntime() {
        // No class that needs the module is loaded unless it is there.
        return ModuleLayer.boot().findModule("jdk.jfr").isPresent() ? new FlightRecorderEvents() : new Unrecorded();
    }

    /** A step is about to run. */
    void stepBegins();

    /** The step that began last has run; one that fails has no event. */
    void stepEnded(Batch batch, int promptRows, EngineCounters counters);

    /** A request is submitted. */
    Span requestSubmitted();

    /** Nobody can record anything. */
    final class Unrecorded implements EngineEvents {
        @Override
        public void stepBegins() {
            // Nobody records it.
        }

        @Override
        public void stepEnded(Batch batch, int promptRows, EngineCounters counters) {
            // Nobody records it.
        }

        @Override
        public Span requestSubmitted() {
            return Span.UNRECORDED;
        }
    }
}
