package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * Carries out what the {@link Scheduler} plans for the requests it is given: runs steps, draws tokens, and hands them
 * to their requests. For the engine's thread, but where methods say otherwise.
 */
final class StepRunner {
    /**
     * Fewest tokens of prompts that a step takes if there are as many, however long it takes: prompts have to go on.
     */
    private static final int MIN_PREFILL_ROWS = 2 * DecoderSession.BLOCK_SIZE;

    /** Weight of the newest time between two requests' first steps, in the mean that waits are estimated by. */
    private static final double NEWEST_BEGINNING = 0.1;

    private final DecoderSession session;
    private final EngineOptions options;
    private final BlockPool pool;
    private final EngineRecorder recorder;
    private final BiFunction<StepPlan, Throwable, Throwable> causeOf;
    private final Scheduler scheduler;
    private final StepTimes stepTimes;
    private final Speculation speculation;
    private final Batch batch;

    /** Those that have not ended, in the order in which they came. */
    private final Map<SequenceGroup, Request> requests = new LinkedHashMap<>();

    private long arrivals;

    /** Those of them that wait for their first step. */
    private final AtomicInteger notBegun = new AtomicInteger();

    private long lastBeginning;
    private volatile double nanosBetweenBeginnings = Double.NaN;

    /**
     * @param contextLength most tokens of prompt and answer together
     * @param pool the session's blocks
     * @param causeOf what the requests of a step are told, when it failed with some exception
     */
    StepRunner(
            DecoderSession session,
            int contextLength,
            EngineOptions options,
            BlockPool pool,
            EngineRecorder recorder,
            BiFunction<StepPlan, Throwable, Throwable> causeOf) {
        this.session = session;
        this.options = options;
        this.pool = pool;
        this.recorder = recorder;
        this.causeOf = causeOf;
        int maxLogitsRows = Math.min(session.maxRows(), session.maxLogitsRows());
        stepTimes = new StepTimes(session.maxRows());
        speculation = new Speculation(stepTimes);
        scheduler = new Scheduler(
                pool,
                session.maxRows(),
                maxLogitsRows,
                options.speculation() ? Optional.of(speculation) : Optional.empty());
        batch = new Batch(session.maxRows(), maxLogitsRows, Sequence.blocksFor(contextLength));
    }

    /** Whether there is nothing to run. */
    boolean isIdle() {
        return requests.isEmpty();
    }

    /** Requests that wait for their first step; from any thread. */
    int waiting() {
        return notBegun.get();
    }

    /** Mean time between the first steps of two requests lately, NaN if there were none yet; from any thread. */
    double nanosBetweenBeginnings() {
        return nanosBetweenBeginnings;
    }

    /** Takes a request on. */
    void add(Request request) {
        long arrival = arrivals++;
        // Without the cache, blocks are shared within a request only.
        String salt = options.prefixCache() ? request.spec().cacheSalt() : Long.toString(arrival);
        SequenceGroup group = new SequenceGroup(request.spec(), arrival, salt);
        requests.put(group, request);
        scheduler.add(group);
        notBegun.incrementAndGet();
    }

    /**
     * Lets the scheduler plan a step, runs it, and draws a token for each sequence whose tokens are all cached. What
     * fails ends the requests concerned.
     */
    void step() {
        int rows = stepTimes.rowsWithin(options.maxStep().toNanos(), session.maxRows());
        StepPlan plan = scheduler.plan(Math.max(MIN_PREFILL_ROWS, rows - scheduler.decodingCount()), rows);
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
     * Draws the next tokens of a sequence, one and another after each draft that is accepted, and with the first one
     * begins the other sequences of its request.
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
        Throwable cause = causeOf.apply(plan, thrown);
        for (StepPlan.Slice slice : plan.slices()) {
            Request request = requests.get(slice.sequence().group());
            if (request != null) {
                remove(request, broken -> broken.fail(cause));
            }
        }
    }

    /** Takes the blocks of a request, if it is still here, and then ends it. */
    void remove(Request request, Consumer<Request> end) {
        removeIf(one -> one == request, end);
    }

    /** Takes the blocks of some requests, and then ends them. */
    void removeIf(Predicate<Request> condition, Consumer<Request> end) {
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
}
