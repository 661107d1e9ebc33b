package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dolly4j.sampling.Candidates;

/**
 * Threads that make {@link Drawing}s: choosing from a whole vocabulary for many sequences, one after the other, would
 * take a good part of a step's time. The caller takes part, and makes all of them if the system gives no thread; those
 * that are idle end after a while.
 */
final class DrawingThreads implements AutoCloseable {
    /** Logits that waking a thread pays for: those of two drawings from Dolly's vocabulary, some 0.1 to 1 ms. */
    private static final long LOGITS_PER_THREAD = 100_000;

    private static final long IDLE_SECONDS = 10;

    /** How long {@link #close} waits for threads that have nothing to do. */
    private static final long CLOSING_SECONDS = 1;

    /** One for each thread, the caller's first; of others there is one once it was needed. */
    private final Candidates[] workspaces;

    private final ThreadPoolExecutor helpers;

    /**
     * @param threads most that draw at once, the caller's with them
     * @param vocabSize length of a logits row
     * @param factory makes the others
     */
    DrawingThreads(int threads, int vocabSize, ThreadFactory factory) {
        workspaces = new Candidates[threads];
        workspaces[0] = new Candidates(vocabSize);
        // One that is busy, or cannot be had, is done without.
        helpers = new ThreadPoolExecutor(
                0,
                Math.max(1, threads - 1),
                IDLE_SECONDS,
                TimeUnit.SECONDS,
                new SynchronousQueue<>(),
                factory,
                new ThreadPoolExecutor.DiscardPolicy());
    }

    /** That of the caller's thread. */
    Candidates workspace() {
        return workspaces[0];
    }

    /**
     * Makes the drawings; for one thread at a time.
     *
     * @param logits of the step that they follow
     */
    void draw(List<? extends LogitsWork> drawings, FloatBuffer logits) {
        if (drawings.isEmpty()) {
            return;
        }
        Round round = new Round(drawings, logits);
        FloatBuffer own = logits.duplicate();
        try {
            long worth = (long) drawings.size() * workspaces[0].vocabSize() / LOGITS_PER_THREAD;
            wakeHelpers((int) Math.min(workspaces.length, worth) - 1, round);
        } finally {
            round.run(own, workspaces[0]);
            round.done.join();
        }
    }

    private void wakeHelpers(int count, Round round) {
        try {
            for (int i = 1; i <= count; i++) {
                if (workspaces[i] == null) {
                    workspaces[i] = new Candidates(workspaces[0].vocabSize());
                }
                Candidates workspace = workspaces[i];
                helpers.execute(() -> round.run(round.logits.duplicate(), workspace));
            }
        } catch (OutOfMemoryError e) {
            // No thread, or no memory for it: those that there are draw all.
        }
    }

    /** The drawings of a step. A helper that comes late finds none left, and touches nothing. */
    private static final class Round {
        private final List<? extends LogitsWork> drawings;
        private final FloatBuffer logits;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger left;
        private final CompletableFuture<Void> done = new CompletableFuture<>();

        Round(List<? extends LogitsWork> drawings, FloatBuffer logits) {
            this.drawings = drawings;
            this.logits = logits;
            left = new AtomicInteger(drawings.size());
        }

        void run(FloatBuffer ownLogits, Candidates workspace) {
            for (int i = next.getAndIncrement(); i < drawings.size(); i = next.getAndIncrement()) {
                drawings.get(i).draw(ownLogits, workspace);
                if (left.decrementAndGet() == 0) {
                    done.complete(null);
                }
            }
        }
    }

    /** Ends the threads. */
    @Override
    public void close() {
        helpers.shutdown();
        try {
            boolean unused = helpers.awaitTermination(CLOSING_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
