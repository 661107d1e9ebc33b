package org.dolly4j.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Brings the bytes of a file that are not here yet: the parts of a {@link PartialBlob} as ranges, several at once, each
 * on a connection of its own.
 */
final class RangeTransfer {
    private static final long TICK_MILLIS = 200;

    private final HubClient client;
    private final HubOptions options;
    private final URI address;
    private final RemoteFile file;
    private final PartialBlob partial;
    private final AtomicInteger nextPart = new AtomicInteger();

    /** @param address of the file at the hub; each range asks there anew, since where it redirects to expires */
    RangeTransfer(HubClient client, HubOptions options, URI address, RemoteFile file, PartialBlob partial) {
        this.client = client;
        this.options = options;
        this.address = address;
        this.file = file;
        this.partial = partial;
    }

    /**
     * Brings them, or fails with all threads ended.
     *
     * @param tick called on this thread a few times a second
     * @throws TransferException if retries did not help
     * @throws RangesNotServedException if the server does not serve them
     * @throws IOException if they cannot be written
     */
    void run(Runnable tick) throws IOException, RangesNotServedException, InterruptedException {
        int workers = Math.min(options.connections(), partial.partCount());
        ExecutorService threads = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "dolly4j-download");
            thread.setDaemon(true);
            return thread;
        });
        try {
            CompletionService<Boolean> ended = new ExecutorCompletionService<>(threads);
            Callable<Boolean> work = this::fetchParts;
            for (int worker = 0; worker < workers; worker++) {
                Future<Boolean> unused = ended.submit(work);
            }
            for (int running = workers; running > 0; ) {
                Future<Boolean> worker = ended.poll(TICK_MILLIS, TimeUnit.MILLISECONDS);
                if (worker != null) {
                    rethrow(worker);
                    running--;
                }
                tick.run();
            }
        } finally {
            threads.shutdownNow();
            awaitEnd(threads);
        }
    }

    private static void rethrow(Future<Boolean> ended)
            throws IOException, RangesNotServedException, InterruptedException {
        try {
            ended.get();
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof IOException failure) {
                throw failure;
            }
            if (cause instanceof RangesNotServedException failure) {
                throw failure;
            }
            if (cause instanceof RuntimeException failure) {
                throw failure;
            }
            if (cause instanceof Error failure) {
                throw failure;
            }
            throw new AssertionError("workers throw nothing else", cause);
        }
    }

    /** They must not write into what is closed, or given to another, after this. */
    private static void awaitEnd(ExecutorService threads) {
        boolean interrupted = false;
        boolean ended = false;
        while (!ended) {
            try {
                ended = threads.awaitTermination(1, TimeUnit.MINUTES);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean fetchParts() throws IOException, RangesNotServedException, InterruptedException {
        for (int part = nextPart.getAndIncrement(); part < partial.partCount(); part = nextPart.getAndIncrement()) {
            Retries retries = new Retries(Retries.MOST, options.firstWait());
            while (partial.present(part) < partial.length(part)) {
                long before = partial.present(part);
                try {
                    fetch(part);
                } catch (TransferException e) {
                    partial.note(part);
                    if (partial.present(part) - before >= ResponseBody.LEAST_BYTES) {
                        retries.progressed();
                    }
                    retries.failed(e);
                }
            }
        }
        return true;
    }

    /** Asks once for what is not here of a part. */
    private void fetch(int part) throws IOException, RangesNotServedException, InterruptedException {
        long first = partial.start(part) + partial.present(part);
        long end = partial.start(part) + partial.length(part);
        // A file that is one range is asked for as a whole: that every server serves.
        boolean whole = first == 0 && end == file.size();
        Optional<String> range = whole ? Optional.empty() : Optional.of("bytes=" + first + "-" + (end - 1));
        try (HubClient.Answer answer = client.get(address, file.name(), range)) {
            if (whole) {
                file.requireSize(answer);
            } else {
                requireRange(answer, first, end);
            }
            for (long left = end - first; left > 0; ) {
                ByteBuffer bytes = answer.body()
                        .next()
                        .orElseThrow(
                                () -> new TransferException("the connection ended before " + file.name() + " did"));
                if (bytes.remaining() > left) {
                    throw new RangesNotServedException("more bytes than asked for");
                }
                left -= bytes.remaining();
                partial.add(part, bytes);
            }
            answer.body().discard();
        }
    }

    private void requireRange(HubClient.Answer answer, long first, long end) throws RangesNotServedException {
        String found = answer.headers().firstValue("Content-Range").orElse("none");
        String expected = "bytes " + first + "-" + (end - 1) + "/";
        if (answer.status() != 206
                || !(found.equals(expected + file.size()) || found.equals(expected + "*"))
                || answer.headers().firstValueAsLong("Content-Length").orElse(end - first) != end - first) {
            throw new RangesNotServedException("status " + answer.status() + " and range " + Refusals.printable(found)
                    + " where " + expected + file.size() + " was asked for");
        }
    }
}
