package org.dolly4j.engine;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.dolly4j.ContextLengthException;
import org.dolly4j.EngineOverloadedException;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.Sampler;

/**
 * Runs requests over one session, on one daemon thread of its own that sleeps while there are none. Each turn of its
 * loop takes what came in and has the {@link StepRunner} run a step, after which {@link DrawingThreads} help to draw
 * tokens. All methods are safe from any thread.
 */
public final class Engine implements AutoCloseable {
    /** A time to wait that never ends. */
    public static final Duration FOR_EVER = Duration.ofSeconds(Long.MAX_VALUE);

    private static final String CLOSED = "The model was closed";

    private final DecoderSession session;
    private final int contextLength;
    private final EngineOptions options;
    private final BlockPool pool;
    private final DrawingThreads drawingThreads;
    private final EngineRecorder recorder;
    private final StepRunner steps;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Set<Request> arrived = new LinkedHashSet<>();
    private final Queue<Request> cancelled = new ArrayDeque<>();
    private boolean takesRequests = true;
    private volatile boolean closed;

    /** Whether all requests ended by themselves after the last one was taken. */
    private volatile boolean drained;

    /**
     * Starts the thread.
     *
     * @param name name of the model, for the thread's name
     * @param session what to run on; the engine closes it
     * @param contextLength most tokens of prompt and answer together
     * @param threads most threads that draw tokens at once, at least 1
     * @param options how to treat requests
     */
    public Engine(String name, DecoderSession session, int contextLength, int threads, EngineOptions options) {
        this.session = session;
        this.contextLength = contextLength;
        this.options = options;
        pool = new BlockPool(session.blockCount(), options.prefixCache());
        drawingThreads =
                new DrawingThreads(threads, session.vocabSize(), task -> daemon(task, "dolly4j-sampler-" + name));
        recorder = new EngineRecorder(name, pool.size());
        steps = new StepRunner(session, contextLength, options, pool, recorder, drawingThreads, this::causeOf);
        thread = daemon(this::run, "dolly4j-engine-" + name);
        thread.start();
    }

    private static Thread daemon(Runnable task, String name) {
        Thread made = new Thread(task, name);
        made.setDaemon(true);
        return made;
    }

    /**
     * Queues a request.
     *
     * @throws IllegalArgumentException if a token id or a sampling option is out of the model's range
     * @throws ContextLengthException if prompt and answer exceed the context or the KV cache
     * @throws EngineOverloadedException if too many requests wait
     * @throws IllegalStateException after close
     */
    public Request submit(RequestSpec spec) {
        checkFits(spec);
        Sampler sampler = new Sampler(spec.sampling(), spec.endIds(), spec.maxNewTokens(), drawingThreads.workspace());
        Request request = new Request(spec, recorder.newRequest(spec), sampler, this::withdraw);
        try {
            enqueue(request);
        } catch (EngineOverloadedException e) {
            recorder.rejected(e.queueLength());
            throw e;
        }
        return request;
    }

    private void enqueue(Request request) {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException(CLOSED + "; load it again to ask more.");
            }
            if (!takesRequests) {
                throw new IllegalStateException("The model is being closed; it takes no more requests.");
            }
            int queue = arrived.size() + steps.waiting();
            if (queue >= options.maxQueuedRequests()) {
                throw new EngineOverloadedException(queue, estimatedWait(queue));
            }
            request.record().queued();
            arrived.add(request);
            changed.signal();
        } finally {
            lock.unlock();
        }
    }

    /** How long the last one of a queue would wait if requests went on to begin as they did lately. */
    private Optional<Duration> estimatedWait(int queue) {
        double nanos = steps.nanosBetweenBeginnings();
        return Double.isNaN(nanos) ? Optional.empty() : Optional.of(Duration.ofNanos((long) (nanos * queue)));
    }

    private void checkVocabulary(String holder, int[] tokens) {
        for (int token : tokens) {
            if (token < 0 || token >= session.vocabSize()) {
                throw new IllegalArgumentException(String.format(
                        Locale.ROOT,
                        "%s holds token %,d, but the model's vocabulary is 0 to %,d. The tokenizer is not the model's.",
                        holder,
                        token,
                        session.vocabSize() - 1));
            }
        }
    }

    private void checkFits(RequestSpec spec) {
        checkVocabulary("The prompt", spec.prompt());
        spec.given().forEach(tokens -> checkVocabulary("A continuation", tokens));
        if ((long) spec.prompt().length + spec.maxNewTokens() > contextLength) {
            throw new ContextLengthException(String.format(
                    Locale.ROOT,
                    "The prompt has %,d tokens; with %,d new tokens that exceeds the model's context of %,d.",
                    spec.prompt().length,
                    spec.maxNewTokens(),
                    contextLength));
        }
        int beams = spec.beams().map(BeamOptions::beams).orElse(1);
        if (beams > session.maxLogitsRows()) {
            throw new IllegalArgumentException("beams = " + beams + " must be at most " + session.maxLogitsRows()
                    + ", the sequences that run together.");
        }
        int blocks = Scheduler.leastBlocks(spec);
        if (blocks > pool.size()) {
            throw new ContextLengthException(String.format(
                    Locale.ROOT,
                    "The request needs a KV cache of %,d tokens, but the model was loaded with one of %,d. Load it with"
                            + " a larger one, or ask for fewer tokens" + (beams > 1 ? " or beams." : "."),
                    blocks * DecoderSession.BLOCK_SIZE,
                    pool.size() * DecoderSession.BLOCK_SIZE));
        }
    }

    /** A request was cancelled: the thread gives its blocks back after the step. */
    private void withdraw(Request request) {
        lock.lock();
        try {
            if (!closed && !arrived.remove(request)) {
                cancelled.add(request);
                changed.signal();
            }
        } finally {
            lock.unlock();
        }
    }

    private void run() {
        try {
            boolean goesOn = true;
            while (goesOn) {
                try {
                    goesOn = takeOver();
                    if (goesOn) {
                        steps.step();
                    }
                } catch (Throwable thrown) {
                    // A defect of the engine itself. Better that every request says so than that one waits for ever.
                    recorder.loopFailed(thrown);
                    steps.removeIf(request -> true, request -> request.fail(thrown));
                }
            }
        } finally {
            endAll();
            drawingThreads.close();
        }
    }

    /** Ends what the thread leaves behind, so that nobody waits for it for ever. */
    private void endAll() {
        List<Request> left;
        lock.lock();
        try {
            takesRequests = false;
            left = List.copyOf(arrived);
            arrived.clear();
        } finally {
            lock.unlock();
        }
        while (!steps.isIdle()) {
            try {
                steps.removeIf(request -> true, this::failAsClosed);
            } catch (RuntimeException | Error e) {
                recorder.loopFailed(e); // and on with the others
            }
        }
        left.forEach(this::failAsClosed);
    }

    /**
     * Waits until there is something to do, and takes what came in; false once the engine is closed, or has done all
     * there was to do before.
     */
    private boolean takeOver() {
        Set<Request> withdrawn;
        lock.lock();
        try {
            while (!closed && takesRequests && arrived.isEmpty() && cancelled.isEmpty() && steps.isIdle()) {
                changed.awaitUninterruptibly();
            }
            if (!closed && !takesRequests && arrived.isEmpty() && steps.isIdle()) {
                drained = true;
                return false;
            }
            for (Iterator<Request> all = arrived.iterator(); all.hasNext(); ) {
                Request request = all.next();
                all.remove();
                try {
                    steps.add(request);
                } catch (RuntimeException | Error e) {
                    request.fail(e);
                    throw e;
                }
            }
            withdrawn = Set.copyOf(cancelled);
            cancelled.clear();
        } finally {
            lock.unlock();
        }
        if (!withdrawn.isEmpty()) {
            steps.removeIf(withdrawn::contains, request -> request.end(Finish.CANCELLED));
        }
        steps.removeIf(Request::isLate, request -> request.end(Finish.DEADLINE));
        return !closed;
    }

    /** What the requests of a step that failed are told. */
    private Throwable causeOf(StepPlan plan, Throwable thrown) {
        if (!closed) {
            recorder.stepFailed(plan, thrown);
            return thrown;
        }
        return thrown instanceof IllegalStateException
                ? thrown
                : new IllegalStateException(CLOSED + " while this request ran.", thrown);
    }

    private void failAsClosed(Request request) {
        request.fail(new IllegalStateException(
                CLOSED + (request.hasBegun() ? " while this request ran." : " before the turn of this request came.")));
    }

    /** What the engine has done and holds, in numbers. */
    public EngineCounters counters() {
        return recorder.counters();
    }

    /** KV blocks that no request holds; for tests that nothing leaks. */
    int availableBlocks() {
        return pool.availableCount();
    }

    /** Takes no more requests; those submitted before go on. */
    public void stopTaking() {
        lock.lock();
        try {
            takesRequests = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Takes no more requests, and waits until those submitted before have ended.
     *
     * @param time how long to wait at most
     * @return whether they have ended by themselves
     */
    public boolean drain(Duration time) {
        stopTaking();
        joinThread(time);
        boolean isIdle = counters().waiting() + counters().running() == 0;
        return drained || (isIdle && !closed);
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
        joinThread(FOR_EVER);
        session.close();
    }

    /** Waits for the thread's end, whatever interrupts. */
    private void joinThread(Duration time) {
        long nanos = TimeUnit.NANOSECONDS.convert(time);
        long start = System.nanoTime();
        boolean interrupted = false;
        for (long left = nanos; thread.isAlive() && left > 0; left = nanos - (System.nanoTime() - start)) {
            try {
                TimeUnit.NANOSECONDS.timedJoin(thread, left);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
