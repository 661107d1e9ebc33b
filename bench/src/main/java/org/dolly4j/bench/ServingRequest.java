package org.dolly4j.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dolly4j.TextPiece;

/** A request as its client sees it: when it was sent, and when each token came. */
final class ServingRequest implements Flow.Subscriber<TextPiece> {
    /**
     * What was seen of a request. Times are seconds since the run began.
     *
     * @param kind {@code user}, or {@code long} for one that is read beside the users'
     * @param prompt its number of tokens
     * @param submitted when it was sent
     * @param started when its first step began; null until it has ended
     * @param times when each token came
     * @param ids the tokens
     */
    record Seen(String kind, int prompt, double submitted, Double started, List<Double> times, List<Integer> ids) {}

    private final String kind;
    private final int promptTokens;
    private final double submitted;
    private final long runBegin;
    private final Consumer<ServingRequest> afterwards;
    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private final List<Double> times = new ArrayList<>();
    private final List<Integer> ids = new ArrayList<>();
    private Double started;
    private Flow.Subscription subscription;
    private Throwable failure;
    private boolean isCancelled;

    /**
     * A request that is sent now.
     *
     * @param kind as in {@link Seen}
     * @param runBegin of {@link System#nanoTime}
     * @param afterwards called once it has ended by itself, well or not; not after {@link #cancel}
     */
    ServingRequest(String kind, int promptTokens, long runBegin, Consumer<ServingRequest> afterwards) {
        this.kind = kind;
        this.promptTokens = promptTokens;
        this.runBegin = runBegin;
        this.afterwards = afterwards;
        submitted = now();
    }

    private double now() {
        return (System.nanoTime() - runBegin) / 1e9;
    }

    @Override
    public void onSubscribe(Flow.Subscription given) {
        synchronized (this) {
            subscription = given;
            if (!isCancelled) {
                given.request(Long.MAX_VALUE);
                return;
            }
        }
        given.cancel();
    }

    @Override
    public synchronized void onNext(TextPiece piece) {
        if (!isCancelled) {
            piece.tokenId().ifPresent(id -> {
                times.add(now());
                ids.add(id);
                begun.countDown();
            });
            piece.result()
                    .ifPresent(result ->
                            started = submitted + result.timings().queue().toNanos() / 1e9);
        }
    }

    @Override
    public void onError(Throwable thrown) {
        end(thrown);
    }

    @Override
    public void onComplete() {
        end(null);
    }

    private void end(Throwable thrown) {
        synchronized (this) {
            failure = thrown;
            begun.countDown();
            ended.countDown();
            if (isCancelled) {
                return;
            }
        }
        afterwards.accept(this);
    }

    /** Ends it as it is: nothing that comes later is noted. */
    void cancel() {
        Flow.Subscription begun;
        synchronized (this) {
            isCancelled = true;
            begun = subscription;
        }
        if (begun != null) {
            begun.cancel();
        }
    }

    /** Waits until it has a token, or has failed. */
    void awaitFirstToken() throws InterruptedException {
        begun.await();
    }

    /** Waits until it has ended by itself, but no longer than so many seconds. */
    void await(double seconds) throws InterruptedException {
        boolean unused = ended.await((long) (seconds * 1e9), TimeUnit.NANOSECONDS);
    }

    /** What it failed by; null if it did not. */
    synchronized Throwable failure() {
        return failure;
    }

    /** What was seen until now. */
    synchronized Seen seen() {
        return new Seen(kind, promptTokens, submitted, started, List.copyOf(times), List.copyOf(ids));
    }
}
