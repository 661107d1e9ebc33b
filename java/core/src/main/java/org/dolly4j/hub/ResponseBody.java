package org.dolly4j.hub;

import java.io.ByteArrayOutputStream;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The bytes of an answer as they come, for one reader. The client of the JDK waits for ever for a body; this one gives
 * up a connection on which next to nothing comes.
 */
final class ResponseBody implements HttpResponse.BodySubscriber<ResponseBody>, AutoCloseable {
    /** Fewer bytes than this in the time of patience are nothing. */
    static final int LEAST_BYTES = 8 * 1024;

    /** A short answer is read to its end, so that its connection can be used again. */
    private static final int DISCARDED_BYTES = 64 * 1024;

    private final Duration patience;
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final CompletableFuture<Flow.Subscription> subscription = new CompletableFuture<>();
    private List<ByteBuffer> chunk = List.of();
    private int nextOfChunk;
    private boolean ended;
    private volatile boolean closed;
    private long windowStart = System.nanoTime();
    private long windowBytes;

    /** @param patience how long to wait for {@link #LEAST_BYTES} or the end */
    ResponseBody(Duration patience) {
        this.patience = patience;
    }

    /** Bytes, the end, or a failure. */
    private record Event(List<ByteBuffer> bytes, Optional<Throwable> failure) {
        boolean isEnd() {
            return bytes.isEmpty();
        }
    }

    @Override
    public CompletionStage<ResponseBody> getBody() {
        return CompletableFuture.completedStage(this);
    }

    @Override
    public void onSubscribe(Flow.Subscription given) {
        subscription.complete(given);
        if (closed) {
            given.cancel();
        } else {
            given.request(1);
        }
    }

    @Override
    public void onNext(List<ByteBuffer> bytes) {
        if (bytes.isEmpty()) {
            subscription.join().request(1);
        } else {
            events.add(new Event(List.copyOf(bytes), Optional.empty()));
        }
    }

    @Override
    public void onError(Throwable failure) {
        events.add(new Event(List.of(), Optional.of(failure)));
    }

    @Override
    public void onComplete() {
        events.add(new Event(List.of(), Optional.empty()));
    }

    /**
     * The next bytes, at least one; empty at the end.
     *
     * @throws TransferException if the connection broke off, or next to nothing came for too long
     */
    Optional<ByteBuffer> next() throws TransferException, InterruptedException {
        while (!ended) {
            if (nextOfChunk < chunk.size()) {
                ByteBuffer bytes = chunk.get(nextOfChunk++);
                if (bytes.hasRemaining()) {
                    return Optional.of(counted(bytes));
                }
            } else {
                await();
            }
        }
        return Optional.empty();
    }

    private void await() throws TransferException, InterruptedException {
        if (!chunk.isEmpty()) {
            subscription.join().request(1);
        }
        long left = windowStart + patience.toNanos() - System.nanoTime();
        Event event = events.poll(Math.max(left, 0), TimeUnit.NANOSECONDS);
        if (event == null) {
            throw new TransferException(
                    windowBytes == 0
                            ? "nothing came for " + seconds(patience) + " seconds"
                            : "only " + windowBytes + " bytes came in " + seconds(patience) + " seconds");
        }
        if (event.failure().isPresent()) {
            Throwable failure = event.failure().get();
            throw new TransferException("the connection broke off (" + failure.getMessage() + ")", failure);
        }
        chunk = event.bytes();
        nextOfChunk = 0;
        ended = event.isEnd();
    }

    private ByteBuffer counted(ByteBuffer bytes) {
        windowBytes += bytes.remaining();
        if (windowBytes >= LEAST_BYTES) {
            windowBytes = 0;
            windowStart = System.nanoTime();
        }
        return bytes;
    }

    /** A number of seconds for a message. */
    static String seconds(Duration time) {
        return time.toMillis() % 1000 == 0 ? Long.toString(time.toSeconds()) : Double.toString(time.toMillis() / 1e3);
    }

    /**
     * All bytes.
     *
     * @param most more of them are not read
     * @return empty if there are more
     */
    Optional<byte[]> readAll(int most) throws TransferException, InterruptedException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (Optional<ByteBuffer> bytes = next(); bytes.isPresent(); bytes = next()) {
            byte[] some = new byte[bytes.get().remaining()];
            if (some.length > most - all.size()) {
                return Optional.empty();
            }
            bytes.get().get(some);
            all.writeBytes(some);
        }
        return Optional.of(all.toByteArray());
    }

    /** Reads what is of no interest, if it is short. */
    void discard() throws InterruptedException {
        try (this) {
            readAll(DISCARDED_BYTES);
        } catch (TransferException e) {
            // Nobody wanted it: the connection is given up, and that is all.
            ended = true;
        }
    }

    /** Ends the transfer if it has not ended. */
    @Override
    public void close() {
        closed = true;
        if (subscription.isDone()) {
            subscription.join().cancel();
        }
    }
}
