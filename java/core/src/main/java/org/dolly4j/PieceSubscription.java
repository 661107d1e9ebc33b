package org.dolly4j;

import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands the pieces of a request to a subscriber, as many as it asks for, one after the other on threads of an executor:
 * a task is there while there is something to hand out and someone who wants it. What is not asked for waits in the
 * request.
 */
final class PieceSubscription implements Flow.Subscription {
    private static final Logger LOG = LoggerFactory.getLogger(PieceSubscription.class);

    /** For what cannot be done now. Its thread is the JDK's, and is there since the first subscription. */
    private static final Executor LATER = CompletableFuture.delayedExecutor(100, TimeUnit.MILLISECONDS, Runnable::run);

    static {
        try {
            LATER.execute(() -> {});
        } catch (OutOfMemoryError e) {
            LOG.debug("The system gives no thread now", e); // it is tried again when it is needed
        }
    }

    private final RunningGeneration running;
    private final Executor executor;
    private final AtomicLong demand = new AtomicLong();

    /** What happened since the task began: pieces came, or were asked for. Above 0 while a task runs. */
    private final AtomicInteger signals = new AtomicInteger();

    /** Gone after the end, so that nothing of the subscriber is kept. */
    private volatile Flow.Subscriber<? super TextPiece> subscriber;

    private volatile boolean isCancelled;
    private volatile boolean asksForNothing;
    private Optional<TextPiece> next = Optional.empty();

    private PieceSubscription(
            RunningGeneration running, Executor executor, Flow.Subscriber<? super TextPiece> subscriber) {
        this.running = running;
        this.executor = executor;
        this.subscriber = subscriber;
    }

    /** Subscribes to a request that runs. */
    static void start(RunningGeneration running, Executor executor, Flow.Subscriber<? super TextPiece> subscriber) {
        PieceSubscription subscription = new PieceSubscription(running, executor, subscriber);
        // Nothing is handed out before the subscriber knows the subscription.
        subscription.signals.incrementAndGet();
        try {
            subscriber.onSubscribe(subscription);
        } catch (RuntimeException | Error thrown) {
            running.cancel();
            throw thrown;
        }
        running.onEvent(subscription::signal);
        subscription.execute();
    }

    /** Tells a subscriber that there is nothing to subscribe to. */
    static void refuse(RuntimeException reason, Flow.Subscriber<? super TextPiece> subscriber) {
        subscriber.onSubscribe(new Flow.Subscription() {
            @Override
            public void request(long count) {
                // There is nothing.
            }

            @Override
            public void cancel() {
                // It has ended.
            }
        });
        subscriber.onError(reason);
    }

    @Override
    public void request(long count) {
        if (count <= 0) {
            asksForNothing = true;
            running.cancel();
            signal();
            return;
        }
        demand.getAndAccumulate(count, (old, more) -> old + more < 0 ? Long.MAX_VALUE : old + more);
        signal();
    }

    @Override
    public void cancel() {
        isCancelled = true;
        running.cancel();
        signal();
    }

    private void signal() {
        if (signals.getAndIncrement() == 0) {
            execute();
        }
    }

    /** Has a thread hand out; never this one, which may be the engine's, and must not run users' code. */
    private void execute() {
        try {
            try {
                executor.execute(this::handOut);
            } catch (RejectedExecutionException e) { // the model was closed
                Thread thread = new Thread(this::handOut, "dolly4j-consumer-of-closed-model");
                thread.setDaemon(true);
                thread.start();
            }
        } catch (OutOfMemoryError e) { // the system gives no thread
            LATER.execute(this::execute);
        }
    }

    private void handOut() {
        int seen = signals.get();
        while (seen > 0) {
            try {
                handOutWhatIsWanted();
            } catch (RuntimeException | Error thrown) {
                // A subscriber must not throw; one that does has ended its own request, and nobody else's.
                running.cancel();
                subscriber = null;
                LOG.warn("A subscriber threw, and its request is cancelled", thrown);
            }
            seen = signals.addAndGet(-seen);
        }
    }

    private void handOutWhatIsWanted() {
        while (subscriber != null) {
            if (isCancelled) {
                end();
            } else if (asksForNothing) {
                end().onError(new IllegalArgumentException(
                        "A subscription was asked for less than 1 piece (reactive streams, rule 3.9)."));
            } else if (!findNext() || demand.get() == 0) {
                return;
            } else {
                TextPiece piece = next.orElseThrow();
                next = Optional.empty();
                if (demand.get() != Long.MAX_VALUE) {
                    demand.decrementAndGet();
                }
                subscriber.onNext(piece);
                if (piece.result().isPresent() && !isCancelled) {
                    end().onComplete();
                }
            }
        }
    }

    /** Whether there is a piece to hand out; a failure is handed out here, whether one was asked for or not. */
    private boolean findNext() {
        if (next.isPresent()) {
            return true;
        }
        try {
            next = running.pollPiece();
        } catch (RuntimeException | Error e) {
            running.cancel();
            end().onError(e);
        }
        return next.isPresent();
    }

    private Flow.Subscriber<? super TextPiece> end() {
        Flow.Subscriber<? super TextPiece> last = Objects.requireNonNull(subscriber);
        subscriber = null;
        return last;
    }
}
