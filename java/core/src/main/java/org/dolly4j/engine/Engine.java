package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.dolly4j.ContextLengthException;
import org.dolly4j.EngineOverloadedException;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * Runs requests over one session, on one daemon thread of its own that sleeps while there are none. Each turn of its loop
 * takes what came in, lets the {@link Scheduler} plan a step, runs it, and draws a token for each sequence whose tokens are
 * all cached. All methods are safe from any thread.
 */
public final class Engine implements AutoCloseable {
    /** A time to wait that never ends. */
    public static final Duration FOR_EVER = Duration.ofSeconds(Long.MAX_VALUE);

    private static final String CLOSED = "The model was closed";

    /** Fewest tokens of prompts that a step takes if there are as many, however long it takes: prompts have to go on. */
    private static final int MIN_PREFILL_ROWS = 2 * DecoderSession.BLOCK_SIZE;

    /** Weight of the newest time between two requests' first steps, in the mean that waits are estimated by. */
    private static final double NEWEST_BEGINNING = 0.1;

    private final DecoderSession session;
    private final int contextLength;
    private final EngineOptions options;
    private final BlockPool pool;
    private final Scheduler scheduler;
    private final StepTimes stepTimes;
    private final Speculation speculation;
    private final Batch batch;
    private final Candidates samplingSpace;
    private final EngineRecorder recorder;
    private final Thread thread;

    /** Those that the thread knows of and that have not ended, in the order in which they came. */
    private final Map<SequenceGroup, Request> requests = new LinkedHashMap<>();

    private long arrivals;

    /** Those of them that wait for their first step. */
    private final AtomicInteger notBegun = new AtomicInteger();

    private long lastBeginning;
    private volatile double nanosBetweenBeginnings = Double.NaN;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Queue<Request> arrived = new ArrayDeque<>();
    private final Queue<Request> cancelled = new ArrayDeque<>();
    private boolean draining;
    private volatile boolean closed;

    /**
     * Starts the thread.
     *
     * @param name name of the model, for the thread's name
     * @param session what to run on; the engine closes it
     * @param contextLength most tokens of prompt and answer together
     * @param options how to treat requests
     */
    public Engine(String name, DecoderSession session, int contextLength, EngineOptions options) {
        this.session = session;
        this.contextLength = contextLength;
        this.options = options;
        pool = new BlockPool(session.blockCount(), options.prefixCache());
        int maxLogitsRows = Math.min(session.maxRows(), session.maxLogitsRows());
        stepTimes = new StepTimes(session.maxRows());
        speculation = new Speculation(stepTimes);
        scheduler = new Scheduler(
                pool,
                session.maxRows(),
                maxLogitsRows,
                options.speculation() ? Optional.of(speculation) : Optional.empty());
        batch = new Batch(session.maxRows(), maxLogitsRows, Sequence.blocksFor(contextLength));
        samplingSpace = new Candidates(session.vocabSize());
        recorder = new EngineRecorder(name, pool.size());
        thread = new Thread(this::run, "dolly4j-engine-" + name);
        thread.setDaemon(true);
        thread.start();
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
        Sampler sampler = new Sampler(spec.sampling(), spec.endIds(), samplingSpace);
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
            if (draining) {
                throw new IllegalStateException("The model is being closed; it takes no more requests.");
            }
            int queue = arrived.size() + notBegun.get();
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
        double nanos = nanosBetweenBeginnings;
        return Double.isNaN(nanos) ? Optional.empty() : Optional.of(Duration.ofNanos((long) (nanos * queue)));
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
        int blocks = Scheduler.leastBlocks(spec);
        if (blocks > pool.size()) {
            throw new ContextLengthException(String.format(
                    Locale.ROOT,
                    "The request needs a KV cache of %,d tokens, but the model was loaded with one of %,d. Load it with"
                            + " a larger one, or ask for fewer tokens.",
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
        while (takeOver()) {
            try {
                step();
            } catch (Throwable thrown) {
                // A defect of the engine itself. Better that every request says so than that one waits for ever.
                recorder.loopFailed(thrown);
                removeIf(request -> true, request -> request.fail(thrown));
            }
        }
        removeIf(request -> true, this::failAsClosed);
        lock.lock();
        try {
            arrived.forEach(this::failAsClosed);
            arrived.clear();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Waits until there is something to do, and takes what came in; false once the engine is closed, or has done all there
     * was to do before.
     */
    private boolean takeOver() {
        lock.lock();
        try {
            while (!closed && !draining && arrived.isEmpty() && cancelled.isEmpty() && requests.isEmpty()) {
                changed.awaitUninterruptibly();
            }
            boolean isDone = draining && arrived.isEmpty() && requests.isEmpty();
            if (isDone) {
                return false;
            }
            while (!arrived.isEmpty()) {
                add(arrived.remove());
            }
            while (!cancelled.isEmpty()) {
                remove(cancelled.remove(), request -> request.end(Finish.CANCELLED));
            }
        } finally {
            lock.unlock();
        }
        removeIf(Request::isLate, request -> request.end(Finish.DEADLINE));
        return !closed;
    }

    private void add(Request request) {
        long arrival = arrivals++;
        // Without the cache, blocks are shared within a request only.
        String salt = options.prefixCache() ? request.spec().cacheSalt() : Long.toString(arrival);
        SequenceGroup group = new SequenceGroup(request.spec(), arrival, salt);
        requests.put(group, request);
        scheduler.add(group);
        notBegun.incrementAndGet();
    }

    private void step() {
        int rows = stepTimes.rowsWithin(options.maxStep().toNanos(), session.maxRows());
        StepPlan plan = scheduler.plan(Math.max(MIN_PREFILL_ROWS, rows - scheduler.decodingCount()));
        if (plan.rows() == 0) {
            return; // all were cancelled
        }
        FloatBuffer logits;
        try {
            logits = carryOut(plan);
        } catch (RuntimeException | Error e) {
            fail(plan, e);
            return;
        }
        scheduler.markCached(plan);
        int row = 0;
        for (StepPlan.Slice slice : plan.slices()) {
            if (slice.isLast()) {
                drawNext(slice, logits, row);
            }
            row += slice.logitsRows();
        }
    }

    private FloatBuffer carryOut(StepPlan plan) {
        batch.clear();
        int promptRows = 0;
        for (StepPlan.Slice slice : plan.slices()) {
            Sequence sequence = slice.sequence();
            if (requests.get(sequence.group()).begin(sequence.cached())) {
                noteBeginning();
            }
            promptRows += sequence.promptRows(slice.rows());
            sequence.addRows(batch, slice.rows());
        }
        for (StepPlan.Copy copy : plan.copies()) {
            session.copyBlock(copy.source(), copy.target());
        }
        recorder.note(scheduler, pool);
        recorder.stepBegins();
        long start = System.nanoTime();
        FloatBuffer logits = session.step(batch);
        long nanos = System.nanoTime() - start;
        stepTimes.add(plan.rows(), nanos);
        recorder.stepEnded(batch, promptRows, nanos);
        return logits;
    }

    private void noteBeginning() {
        notBegun.decrementAndGet();
        long now = System.nanoTime();
        if (lastBeginning != 0) {
            double nanos = now - lastBeginning;
            nanosBetweenBeginnings = Double.isNaN(nanosBetweenBeginnings)
                    ? nanos
                    : nanosBetweenBeginnings + NEWEST_BEGINNING * (nanos - nanosBetweenBeginnings);
        }
        lastBeginning = now;
    }

    /**
     * Draws the next tokens of a sequence, one and another after each draft that is accepted, and with the first one begins
     * the other sequences of its request.
     */
    private void drawNext(StepPlan.Slice slice, FloatBuffer logits, int row) {
        Sequence sequence = slice.sequence();
        Request request = requests.get(sequence.group());
        if (request == null || request.hasEnded()) {
            return; // broke off at another sequence of this step, or was cancelled just before it
        }
        try {
            List<Sequence> forks = sequence.length() == sequence.promptLength() ? scheduler.fork(sequence) : List.of();
            recorder.draftsVerified(slice.drafts());
            int accepted = 0;
            while (drawToken(request, sequence, logits, row + accepted) && accepted < slice.drafts()) {
                sequence.markCached(1);
                recorder.draftAccepted();
                accepted++;
            }
            for (Sequence fork : forks) {
                drawToken(request, fork, logits, row);
            }
        } catch (Throwable thrown) {
            request.record().drawingFailed(thrown);
            remove(request, broken -> broken.fail(thrown));
        }
    }

    /** Draws a token; whether the sequence goes on, and the token is the one drafted. */
    private boolean drawToken(Request request, Sequence sequence, FloatBuffer logits, int row) {
        RequestSpec spec = request.spec();
        FloatBuffer logitsRow = logits.position(row * session.vocabSize());
        int token = request.sampler()
                .sample(
                        logitsRow,
                        sequence.tokens(),
                        sequence.length(),
                        sequence.promptLength(),
                        spec.seedOf(sequence.index()));
        Optional<TokenLogprobs> logprobs = spec.topLogprobs().isEmpty()
                ? Optional.empty()
                : Optional.of(request.sampler()
                        .logprobs(logitsRow, token, spec.topLogprobs().getAsInt()));
        boolean isDraft = sequence.isDraft(token);
        if (sequence.drafts() > 0) {
            speculation.learn(sequence.matchLength(), isDraft);
        }
        sequence.append(token);
        Optional<Finish> finish = finishAfter(token, sequence, spec);
        if (finish.isPresent()) {
            scheduler.end(sequence);
            recorder.note(scheduler, pool);
        }
        request.emitToken(sequence.index(), token, logprobs, finish);
        if (sequence.group().hasEnded()) {
            requests.remove(sequence.group());
            request.complete();
        }
        return isDraft && finish.isEmpty();
    }

    private static Optional<Finish> finishAfter(int token, Sequence sequence, RequestSpec spec) {
        if (contains(spec.endIds(), token)) {
            return Optional.of(Finish.END_TOKEN);
        }
        if (contains(spec.stopIds(), token)) {
            return Optional.of(Finish.STOP_TOKEN);
        }
        if (spec.stopCondition().stopsAfter(sequence.index(), token)) {
            return Optional.of(Finish.STOP_CONDITION);
        }
        return sequence.length() - sequence.promptLength() == spec.maxNewTokens()
                ? Optional.of(Finish.LENGTH)
                : Optional.empty();
    }

    private static boolean contains(int[] ids, int id) {
        for (int one : ids) {
            if (one == id) {
                return true;
            }
        }
        return false;
    }

    /** A step failed, and with it the requests that were in it, never the thread. */
    private void fail(StepPlan plan, Throwable thrown) {
        Throwable cause = closed && !(thrown instanceof IllegalStateException)
                ? new IllegalStateException(CLOSED + " while this request ran.", thrown)
                : thrown;
        if (!closed) {
            recorder.stepFailed(plan, thrown);
        }
        for (StepPlan.Slice slice : plan.slices()) {
            Request request = requests.get(slice.sequence().group());
            if (request != null) {
                remove(request, broken -> broken.fail(cause));
            }
        }
    }

    private void failAsClosed(Request request) {
        request.fail(new IllegalStateException(
                CLOSED + (request.hasBegun() ? " while this request ran." : " before the turn of this request came.")));
    }

    /** Takes the blocks of a request, which the thread may have forgotten already, and then ends it. */
    private void remove(Request request, Consumer<Request> end) {
        removeIf(one -> one == request, end);
    }

    private void removeIf(Predicate<Request> condition, Consumer<Request> end) {
        for (Iterator<Map.Entry<SequenceGroup, Request>> all =
                        requests.entrySet().iterator();
                all.hasNext(); ) {
            Map.Entry<SequenceGroup, Request> entry = all.next();
            Request request = entry.getValue();
            if (condition.test(request)) {
                all.remove();
                scheduler.remove(entry.getKey());
                recorder.note(scheduler, pool);
                if (!request.hasBegun()) {
                    notBegun.decrementAndGet();
                }
                end.accept(request);
            }
        }
    }

    /** What the engine has done and holds, in numbers. */
    public EngineCounters counters() {
        return recorder.counters();
    }

    /** KV blocks that no request holds; for tests that nothing leaks. */
    int availableBlocks() {
        return pool.availableCount();
    }

    /**
     * Takes no more requests, and waits until those submitted before have ended.
     *
     * @param time how long to wait at most
     * @return whether they have
     */
    public boolean drain(Duration time) {
        lock.lock();
        try {
            draining = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        return joinThread(time) && !closed;
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

    /** Waits for the thread's end, whatever interrupts; whether it came within the time. */
    private boolean joinThread(Duration time) {
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
        return !thread.isAlive();
    }
}
