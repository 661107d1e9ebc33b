package org.dolly4j.engine;

import java.lang.invoke.VarHandle;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

/**
 * What an {@link Engine} has done and holds, in numbers that any thread may read at any time, also after the engine is
 * closed. Totals count from the engine's start and never go down.
 *
 * <p>The engine's thread writes without a lock and without waiting for readers: it makes a version odd, writes, and
 * makes it even (a sequence lock). {@link #consistently} reads again if the version changed meanwhile. What other
 * threads write too changes once in a request's life, by atomic additions.
 */
public final class EngineCounters {
    /** Tries after which a reader lets other threads run: the writer may have been put to sleep amid its writing. */
    private static final int TRIES_AT_ONCE = 100;

    private static final long PAUSE_NANOS = 1_000;

    private static final long ONE_WAITING = 1L << Integer.SIZE;

    private final int blocks;
    private final AtomicLong version = new AtomicLong();

    // Of the engine's thread alone, as are the recorders.
    private final AtomicLong steps = new AtomicLong();
    private final AtomicLong rows = new AtomicLong();
    private final AtomicLong promptRows = new AtomicLong();
    private final AtomicLong generated = new AtomicLong();
    private final AtomicLong drafts = new AtomicLong();
    private final AtomicLong acceptedDrafts = new AtomicLong();
    private final AtomicLong lookedUp = new AtomicLong();
    private final AtomicLong found = new AtomicLong();
    private final AtomicLong preemptions = new AtomicLong();
    private final AtomicLong sequences = new AtomicLong();
    private final AtomicLong keptBlocks = new AtomicLong();
    private final AtomicLong availableBlocks;

    private final LatencyRecorder queueTimes = new LatencyRecorder();
    private final LatencyRecorder firstTokenTimes = new LatencyRecorder();
    private final LatencyRecorder tokenTimes = new LatencyRecorder();
    private final LatencyRecorder stepTimes = new LatencyRecorder();
    private final TokenRate tokenRate = new TokenRate(System.nanoTime());

    /**
     * Requests that wait in the upper half, those that run in the lower, so that each is in one of both at any time.
     */
    private final AtomicLong unended = new AtomicLong();

    private final Map<Ending, AtomicLong> ended = new EnumMap<>(Ending.class);
    private final AtomicLong rejected = new AtomicLong();

    /** @param blocks KV blocks, all of them free */
    EngineCounters(int blocks) {
        this.blocks = blocks;
        availableBlocks = new AtomicLong(blocks);
        for (Ending ending : Ending.values()) {
            ended.put(ending, new AtomicLong());
        }
    }

    private void beginWriting() {
        version.setOpaque(version.getPlain() + 1);
        VarHandle.storeStoreFence();
    }

    private void endWriting() {
        version.setRelease(version.getPlain() + 1);
    }

    private static void add(AtomicLong value, long more) {
        value.setOpaque(value.getPlain() + more);
    }

    /** A request waits from now on. */
    void requestQueued() {
        unended.addAndGet(ONE_WAITING);
    }

    /** A request is refused, since too many wait. */
    void requestRejected() {
        rejected.incrementAndGet();
    }

    /** The first step of a request that waits is about to run. */
    void requestBegan(long queuedNanos) {
        unended.addAndGet(1 - ONE_WAITING);
        beginWriting();
        queueTimes.record(queuedNanos);
        endWriting();
    }

    /** A request that {@link #requestQueued waits}, or runs, has ended. */
    void requestEnded(boolean hadBegun, Ending ending) {
        ended.get(ending).incrementAndGet();
        unended.addAndGet(hadBegun ? -1 : -ONE_WAITING);
    }

    /** The first token of a request was drawn. */
    void firstToken(long nanosSinceSubmission) {
        beginWriting();
        firstTokenTimes.record(nanosSinceSubmission);
        endWriting();
    }

    /**
     * A token was drawn.
     *
     * @param now {@link System#nanoTime} then
     */
    void token(long now) {
        beginWriting();
        add(generated, 1);
        tokenRate.add(now);
        endWriting();
    }

    /** A token of a sequence was drawn so long after the one before. */
    void tokenAfter(long nanos) {
        beginWriting();
        tokenTimes.record(nanos);
        endWriting();
    }

    /** A step has run. */
    void stepEnded(int rows, int promptRows, long nanos) {
        beginWriting();
        add(steps, 1);
        add(this.rows, rows);
        add(this.promptRows, promptRows);
        stepTimes.record(nanos);
        endWriting();
    }

    /** A step has run draft tokens of a sequence. */
    void draftsVerified(int verified) {
        beginWriting();
        add(drafts, verified);
        endWriting();
    }

    /** One of these is the token drawn. */
    void draftAccepted() {
        beginWriting();
        add(acceptedDrafts, 1);
        endWriting();
    }

    /** Takes what the scheduler and the pool count themselves. */
    void note(Scheduler scheduler, BlockPool pool) {
        beginWriting();
        lookedUp.setOpaque(scheduler.lookedUpTokens());
        found.setOpaque(scheduler.foundTokens());
        preemptions.setOpaque(scheduler.preemptions());
        sequences.setOpaque(scheduler.sequencesWithRows());
        availableBlocks.setOpaque(pool.availableCount());
        keptBlocks.setOpaque(pool.keptCount());
        endWriting();
    }

    /**
     * Reads several numbers as they stand at one moment. Those of requests (waiting, running, ended, rejected) may be a
     * moment newer than the others.
     *
     * @param reading reads them from this object, more than once if they change meanwhile
     */
    public <T> T consistently(Supplier<T> reading) {
        for (int tries = 1; ; tries++) {
            long before = version.getAcquire();
            if ((before & 1) == 0) {
                T result = reading.get();
                VarHandle.loadLoadFence();
                if (version.getOpaque() == before) {
                    return result;
                }
            }
            if (tries % TRIES_AT_ONCE == 0) {
                LockSupport.parkNanos(PAUSE_NANOS);
            } else {
                Thread.onSpinWait();
            }
        }
    }

    /** Requests that wait for their first step. */
    public int waiting() {
        return (int) (unended.get() >>> Integer.SIZE);
    }

    /** Requests that have begun and not ended. */
    public int running() {
        return (int) unended.get();
    }

    /** Requests that ended in one way. */
    public long ended(Ending ending) {
        return ended.get(ending).get();
    }

    /** Requests that were refused, since too many waited. */
    public long rejected() {
        return rejected.get();
    }

    /** Sequences that run, from their first row on. */
    public int sequences() {
        return (int) sequences.getOpaque();
    }

    /** KV blocks of the engine. */
    public int blocks() {
        return blocks;
    }

    /** KV blocks that sequences hold. */
    public int usedBlocks() {
        return (int) (blocks - availableBlocks.getOpaque());
    }

    /** KV blocks that nobody holds, but that are kept for prompts which begin like earlier ones. */
    public int keptBlocks() {
        return (int) keptBlocks.getOpaque();
    }

    /** Steps that have run. */
    public long steps() {
        return steps.getOpaque();
    }

    /** Rows of these steps; each is one token of one sequence. */
    public long rows() {
        return rows.getOpaque();
    }

    /** Those of the rows that read a token of a prompt, again where a preempted sequence goes on. */
    public long promptRows() {
        return promptRows.getOpaque();
    }

    /**
     * Tokens of sequences that began, or went on after they were preempted, which were looked up in the prefix cache.
     */
    public long lookedUpTokens() {
        return lookedUp.getOpaque();
    }

    /** How many of these were found there, and so not read again. */
    public long foundTokens() {
        return found.getOpaque();
    }

    /** Tokens that were drawn. */
    public long generatedTokens() {
        return generated.getOpaque();
    }

    /** Draft tokens that were verified: rows beside the one that each token drawn needs at least. */
    public long draftTokens() {
        return drafts.getOpaque();
    }

    /** How many of these were the tokens drawn, so that each saved a step. */
    public long acceptedDraftTokens() {
        return acceptedDrafts.getOpaque();
    }

    /** Tokens drawn per second in the last ten seconds, idle time included; since the start if that was later. */
    public double tokensPerSecond() {
        return tokenRate.perSecond(System.nanoTime());
    }

    /** How often a sequence gave its KV blocks up for others, to compute them again later. */
    public long preemptions() {
        return preemptions.getOpaque();
    }

    /** Times from the submission of a request to its first step; not of requests that ended before. */
    public LatencyHistogram queueTimes() {
        return queueTimes.snapshot();
    }

    /** Times from the submission of a request to its first token. */
    public LatencyHistogram firstTokenTimes() {
        return firstTokenTimes.snapshot();
    }

    /** Times from a token of a sequence to its next one. */
    public LatencyHistogram tokenTimes() {
        return tokenTimes.snapshot();
    }

    /** Times that the backend took for a step, without copies of blocks and without drawing tokens. */
    public LatencyHistogram stepTimes() {
        return stepTimes.snapshot();
    }
}
