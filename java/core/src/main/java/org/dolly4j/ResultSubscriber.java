package org.dolly4j;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;

/** Completes a future with the result in the last piece. */
record ResultSubscriber(CompletableFuture<GenerationResult> future) implements Flow.Subscriber<TextPiece> {
    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        subscription.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(TextPiece piece) {
        piece.result().ifPresent(future::complete);
    }

    @Override
    public void onError(Throwable failure) {
        future.completeExceptionally(failure);
    }

    @Override
    public void onComplete() {
        // The last piece has completed the future.
    }
}
