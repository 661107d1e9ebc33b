package org.dolly4j;

import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.dolly4j.engine.Engine;

/**
 * The model that is asked, and those it took the place of while they answer their last requests. Safe from any thread.
 */
final class ModelHolder {
    private final Set<AnsweringModel> open = new LinkedHashSet<>();
    private volatile AnsweringModel present;
    private boolean draining;
    private boolean closed;

    ModelHolder(AnsweringModel model) {
        present = model;
        open.add(model);
    }

    /** The model that new requests are for; the last one after close. */
    AnsweringModel present() {
        return present;
    }

    /**
     * Queues a request for the present model.
     *
     * @throws IllegalStateException after close, and while the last requests are answered before
     */
    RunningGeneration begin(GenerationRequest request) {
        return ask(model -> model.begin(request));
    }

    /**
     * Asks the present model, and again if it was replaced meanwhile.
     *
     * @throws IllegalStateException as {@link #begin}
     */
    <T> T ask(Function<AnsweringModel, T> question) {
        while (true) {
            AnsweringModel model = present;
            try {
                return question.apply(model);
            } catch (IllegalStateException e) {
                if (model == present) {
                    throw e;
                }
                // Another model took its place meanwhile.
            }
        }
    }

    /**
     * Has another model answer from now on, and frees the one before once it has answered all it was asked.
     *
     * @throws IllegalStateException if {@link #drain} or {@link #close} came before, and the other model is closed
     *     then; or if {@link #close} comes before the last answer
     */
    void replace(AnsweringModel next) {
        Optional<AnsweringModel> replaced = takeOver(next);
        if (replaced.isEmpty()) {
            next.close();
            throw new IllegalStateException("The model was closed while another was loaded to take its place.");
        }
        AnsweringModel last = replaced.get();
        boolean hasDrained = last.drain(Engine.FOR_EVER);
        last.close();
        synchronized (this) {
            open.remove(last);
        }
        if (!hasDrained) {
            throw new IllegalStateException(
                    "The model was closed while it answered the last requests before a reload.");
        }
    }

    /** Makes another model the present one; the one before, or nothing if no request is taken any more. */
    private synchronized Optional<AnsweringModel> takeOver(AnsweringModel next) {
        if (draining || closed) {
            return Optional.empty();
        }
        AnsweringModel last = present;
        open.add(next);
        present = next;
        return Optional.of(last);
    }

    /** Takes no more requests, and waits until those of all models have ended; whether they have, within the time. */
    boolean drain(Duration time) {
        List<AnsweringModel> all;
        synchronized (this) {
            draining = true;
            all = List.copyOf(open);
        }
        all.forEach(AnsweringModel::stopTaking);
        long nanos = TimeUnit.NANOSECONDS.convert(time);
        long begin = System.nanoTime();
        boolean haveDrained = true;
        for (AnsweringModel model : all) {
            haveDrained &= model.drain(Duration.ofNanos(nanos - (System.nanoTime() - begin)));
        }
        return haveDrained;
    }

    /** Whether it takes requests: neither {@link #drain} nor {@link #close} was called. */
    synchronized boolean takesRequests() {
        return !draining && !closed;
    }

    /** Whether it was closed. */
    synchronized boolean isClosed() {
        return closed;
    }

    /** Closes all models; idempotent. */
    void close() {
        List<AnsweringModel> all;
        synchronized (this) {
            closed = true;
            all = List.copyOf(open);
        }
        all.forEach(AnsweringModel::close);
    }
}
