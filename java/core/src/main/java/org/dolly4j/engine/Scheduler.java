package org.dolly4j.engine;

import java.util.ArrayDeque;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.dolly4j.ContextLengthException;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;

/**
 * Runs requests over one session, on one daemon thread of its own that sleeps while there are none. Requests take turns
 * in the order in which they came; the sequences of one request run together. All methods are safe from any thread.
 */
public final class Scheduler implements AutoCloseable {
    private static final String CLOSED = "The model was closed";

    private final DecoderSession session;
    private final int contextLength;
    private final BlockPool pool;
    private final Batch batch;
    private final Candidates samplingSpace;
    private final Thread thread;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Queue<Request> waiting = new ArrayDeque<>();
    private volatile boolean closed;

    /**
     * Starts the thread.
     *
     * @param name name of the model, for the thread's name
     * @param session what to run on; the scheduler closes it
     * @param contextLength most tokens of prompt and answer together
     */
    public Scheduler(String name, DecoderSession session, int contextLength) {
        this.session = session;
        this.contextLength = contextLength;
        pool = new BlockPool(session.blockCount());
        batch = new Batch(session.maxRows(), session.maxLogitsRows(), Sequence.blocksFor(contextLength));
        samplingSpace = new Candidates(session.vocabSize());
        thread = new Thread(this::run, "dolly4j-engine-" + name);
        thread.setDaemon(true);
        thread.start();
    }

    /**
     * Queues a request.
     *
     * @throws IllegalArgumentException if a token id or a sampling option is out of the model's range
     * @throws ContextLengthException if prompt and answer exceed the context or the KV cache
     * @throws IllegalStateException after close
     */
    public Request submit(RequestSpec spec) {
        checkFits(spec);
        Request request = new Request(spec, new Sampler(spec.sampling(), spec.endIds(), samplingSpace), this::withdraw);
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException(CLOSED + "; load it again to ask more.");
            }
            waiting.add(request);
            changed.signal();
        } finally {
            lock.unlock();
        }
        return request;
    }

    private void checkFits(RequestSpec spec) {
        for (int token : spec.prompt()) {
            if (token < 0 || token >= session.vocabSize()) {
                throw new IllegalArgumentException(String.format(
                        Locale.ROOT,
                        "The prompt holds token %,d, but the model's vocabulary is 0 to %,d. The tokenizer is not the model's.",
                        token,
                        session.vocabSize() - 1));
            }
        }
        if ((long) spec.prompt().length + spec.maxNewTokens() > contextLength) {
            throw new ContextLengthException(String.format(
                    Locale.ROOT,
                    "The prompt has %,d tokens; with %,d new tokens that exceeds the model's context of %,d.",
                    spec.prompt().length,
                    spec.maxNewTokens(),
                    contextLength));
        }
        int blocks = RequestRun.leastBlocks(spec);
        if (blocks > pool.size()) {
            throw new ContextLengthException(String.format(
                    Locale.ROOT,
                    "The request needs a KV cache of %,d tokens, but the model was loaded with one of %,d. Load it with"
                            + " a larger one, or ask for fewer tokens.",
                    blocks * DecoderSession.BLOCK_SIZE,
                    pool.size() * DecoderSession.BLOCK_SIZE));
        }
    }

    /** Lets a request that waits end at once; one that runs sees its mark after the step. */
    private void withdraw(Request request) {
        lock.lock();
        try {
            if (!waiting.remove(request)) {
                return;
            }
        } finally {
            lock.unlock();
        }
        for (int sequence = 0; sequence < request.spec().sequences(); sequence++) {
            request.emitEnd(sequence, Finish.CANCELLED);
        }
        request.complete();
    }

    private void run() {
        for (Request request = take(); request != null; request = take()) {
            serve(request);
        }
        lock.lock();
        try {
            waiting.forEach(request ->
                    request.fail(new IllegalStateException(CLOSED + " before the turn of this request came.")));
            waiting.clear();
        } finally {
            lock.unlock();
        }
    }

    /** Waits for a request; null once the scheduler is closed. */
    private Request take() {
        lock.lock();
        try {
            while (!closed && waiting.isEmpty()) {
                changed.awaitUninterruptibly();
            }
            return closed ? null : waiting.remove();
        } finally {
            lock.unlock();
        }
    }

    /** Carries out a request. Whatever is thrown on the way ends this request alone, never the thread. */
    private void serve(Request request) {
        try {
            run(request);
            request.complete();
        } catch (Throwable thrown) {
            request.fail(
                    closed && !(thrown instanceof IllegalStateException)
                            ? new IllegalStateException(CLOSED + " while this request ran.", thrown)
                            : thrown);
        }
    }

    private void run(Request request) {
        RequestRun run = new RequestRun(request, session, pool, batch);
        try {
            request.start();
            boolean more = true;
            while (more && !closed && !request.isCancelled()) {
                more = run.step();
            }
            if (more && closed) {
                throw new IllegalStateException(CLOSED + " while this request ran.");
            }
            if (more) {
                run.cancel();
            }
        } finally {
            run.release();
        }
    }

    /** KV blocks that no request holds; for tests that nothing leaks. */
    int freeBlocks() {
        return pool.freeCount();
    }

    /**
     * Ends all requests, those that run within a step, as {@link Event.Failed} with an {@link IllegalStateException},
     * and closes the session. Idempotent; returns when the thread has ended.
     */
    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        session.abort();
        joinThread();
        session.close();
    }

    private void joinThread() {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
