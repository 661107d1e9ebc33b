package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.BeamSearch;

/**
 * Carries out what the {@link Scheduler} plans for the requests it is given: runs steps, draws tokens, and hands them
 * to their requests. For the engine's thread, but where methods say otherwise.
 */
final class StepRunner {
    /**
     * Fewest tokens of prompts that a step takes if there are as many, however long it takes: prompts have to go on.
     */
    private static final int MIN_PREFILL_ROWS = DecoderSession.BLOCK_SIZE;

    /** Fewest in the first step, before it is known how long steps take. */
    private static final int FIRST_PREFILL_ROWS = 2 * DecoderSession.BLOCK_SIZE;

    /**
     * How many times as long as without prompts a step may take with them, where it takes long without: fewer rows
     * would cost prompts much, as weights are read in every step.
     */
    private static final int MOST_WITH_PROMPTS = 2;

    /** Weight of the newest step in the means that waits are estimated by: of some hundred, as long as answers are. */
    private static final double NEWEST_STEP = 0.005;

    private final DecoderSession session;
    private final EngineOptions options;
    private final BlockPool pool;
    private final EngineRecorder recorder;
    private final BiFunction<StepPlan, Throwable, Throwable> causeOf;
    private final Scheduler scheduler;
    private final StepTimes stepTimes;
    private final Speculation speculation;
    private final Batch batch;
    private final DrawingThreads drawingThreads;

    /** Those that have not ended, in the order in which they came. */
    private final Map<SequenceGroup, Request> requests = new LinkedHashMap<>();

    /** Those whose search has begun. */
    private final Map<SequenceGroup, BeamGroup> beamGroups = new HashMap<>();

    private long arrivals;

    /** Those of them that wait for their first step. */
    private final Set<Request> notBegun = ConcurrentHashMap.newKeySet();

    /** Of steps after which some request still waits: their time, and how many others began in them. */
    private double nanosOfWaiting;

    private double beginnings;
    private volatile double nanosBetweenBeginnings = Double.NaN;

    /**
     * @param contextLength most tokens of prompt and answer together
     * @param pool the session's blocks
     * @param drawingThreads draw tokens
     * @param causeOf what the requests of a step are told, when it failed with some exception
     */
    StepRunner(
            DecoderSession session,
            int contextLength,
            EngineOptions options,
            BlockPool pool,
            EngineRecorder recorder,
            DrawingThreads drawingThreads,
            BiFunction<StepPlan, Throwable, Throwable> causeOf) {
        this.session = session;
        this.options = options;
        this.pool = pool;
        this.recorder = recorder;
        this.drawingThreads = drawingThreads;
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
        return notBegun.size();
    }

    /** Mean time in which another of the requests that wait begins, NaN if that was not seen yet; from any thread. */
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
        notBegun.add(request);
        scheduler.add(group);
    }

    /**
     * Lets the scheduler plan a step, runs it, and draws a token for each sequence whose tokens are all cached. What
     * fails ends the requests concerned.
     */
    void step() {
        int waited = notBegun.size();
        long start = System.nanoTime();
        runStep();
        int waiting = notBegun.size();
        if (waiting > 0) { // else who waited began at once, and tells nothing of how long others will
            noteBeginnings(waited - waiting, System.nanoTime() - start);
        }
    }

    /** So many requests began in a step, and others go on waiting. */
    private void noteBeginnings(int begun, long nanos) {
        nanosOfWaiting += NEWEST_STEP * (nanos - nanosOfWaiting);
        beginnings += NEWEST_STEP * (begun - beginnings);
        if (beginnings > 0) {
            nanosBetweenBeginnings = nanosOfWaiting / beginnings;
        }
    }

    private void runStep() {
        long maxStep = options.maxStep().toNanos();
        int decoding = scheduler.decodingCount();
        long withPrompts = Math.max(maxStep, MOST_WITH_PROMPTS * stepTimes.leastNanos(Math.max(1, decoding)));
        int prefillRows = stepTimes.rowsWithin(withPrompts, session.maxRows()) - decoding;
        int leastPrefillRows = stepTimes.isEmpty() ? FIRST_PREFILL_ROWS : MIN_PREFILL_ROWS;
        StepPlan plan = scheduler.plan(
                Math.max(leastPrefillRows, prefillRows), stepTimes.rowsWithin(maxStep, session.maxRows()));
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
        List<LogitsWork> works = worksAfter(plan);
        drawingThreads.draw(works, logits);
        for (LogitsWork work : works) {
            if (work instanceof BeamDrawing beam) {
                takeBeam(beam);
            } else {
                take((Drawing) work);
            }
        }
    }

    /**
     * What is to be drawn after a step: the next tokens of the sequences that are cached to their ends, and for the
     * first one of a request, those of the others, which begin with it; of beams, their continuations.
     */
    private List<LogitsWork> worksAfter(StepPlan plan) {
        List<LogitsWork> works = new ArrayList<>();
        int row = 0;
        for (StepPlan.Slice slice : plan.slices()) {
            Sequence sequence = slice.sequence();
            Request request = requests.get(sequence.group());
            if (slice.isLast() && !request.hasEnded()) { // by a cancellation just before the step
                if (request.spec().beams().isPresent()) {
                    BeamGroup beams = beamGroups.computeIfAbsent(
                            sequence.group(), group -> new BeamGroup(group.spec(), sequence));
                    works.add(new BeamDrawing(request, beams, sequence, row));
                } else {
                    works.add(new Drawing(request, sequence, row, slice.drafts()));
                    if (sequence.length() == sequence.promptLength()) {
                        for (Sequence fork : scheduler.fork(sequence)) {
                            works.add(new Drawing(request, fork, row, 0));
                        }
                    }
                }
            }
            row += slice.logitsRows();
        }
        return works;
    }

    /** Gives a search the continuations of one of its beams; the last ones let it go on by a token. */
    private void takeBeam(BeamDrawing drawing) {
        Request request = drawing.request();
        if (request.hasEnded()) {
            return; // broke off at another beam of this step
        }
        try {
            drawing.handOver();
            if (drawing.group().advance(scheduler)) {
                emitAnswers(request, drawing.group().answers());
                remove(request, Request::complete);
            }
        } catch (Throwable thrown) {
            request.record().drawingFailed(thrown);
            remove(request, broken -> broken.fail(thrown));
        }
    }

    private static void emitAnswers(Request request, List<BeamSearch.Answer> answers) {
        for (int i = 0; i < answers.size(); i++) {
            BeamSearch.Answer answer = answers.get(i);
            request.emitScore(i, answer.score());
            int[] tokens = answer.tokens();
            for (int t = 0; t < tokens.length; t++) {
                Optional<Finish> finish =
                        t < tokens.length - 1 ? Optional.empty() : Optional.of(finishOf(tokens, request.spec()));
                request.emitToken(i, tokens[t], answer.logprobs().get(t), finish);
            }
        }
        for (int i = answers.size(); i < request.spec().sequences(); i++) {
            request.emitEnd(i, Finish.LENGTH); // the options left too few tokens to find so many
        }
    }

    private static Finish finishOf(int[] answer, RequestSpec spec) {
        int last = answer[answer.length - 1];
        if (contains(spec.endIds(), last)) {
            return Finish.END_TOKEN;
        }
        if (contains(spec.stopIds(), last)) {
            return Finish.STOP_TOKEN;
        }
        return spec.stopCondition().endsWith(answer) ? Finish.STOP_CONDITION : Finish.LENGTH;
    }

    private FloatBuffer carryOut(StepPlan plan) {
        batch.clear();
        int promptRows = 0;
        for (StepPlan.Slice slice : plan.slices()) {
            Sequence sequence = slice.sequence();
            Request request = requests.get(sequence.group());
            if (notBegun.remove(request)) {
                request.begin(sequence.cached());
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

    /** Gives a sequence the tokens drawn, as far as it goes on. */
    private void take(Drawing drawing) {
        Request request = drawing.request();
        if (request.hasEnded()) {
            return; // broke off at another sequence of this step
        }
        try {
            boolean guesses = !request.spec().isScoring();
            recorder.draftsVerified(guesses ? drawing.drafts() : 0);
            int accepted = 0;
            while (take(drawing.get(accepted), request, drawing.sequence()) && accepted < drawing.drafts()) {
                drawing.sequence().markCached(1);
                if (guesses) {
                    recorder.draftAccepted();
                }
                accepted++;
            }
        } catch (Throwable thrown) {
            request.record().drawingFailed(thrown);
            remove(request, broken -> broken.fail(thrown));
        }
    }

    /** Gives a sequence a token; whether it goes on, and the token is the one drafted. */
    private boolean take(Drawing.Drawn drawn, Request request, Sequence sequence) {
        int token = drawn.token();
        boolean isDraft = sequence.isDraft(token);
        if (sequence.drafts() > 0 && !request.spec().isScoring()) {
            speculation.learn(sequence.matchLength(), isDraft);
        }
        sequence.append(token);
        Optional<Finish> finish = finishAfter(token, sequence, request.spec());
        if (finish.isPresent()) {
            scheduler.end(sequence);
            recorder.note(scheduler, pool);
        }
        request.emitToken(sequence.index(), token, drawn.logprobs(), finish);
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
        return sequence.length() - sequence.promptLength() == spec.maxNewTokensOf(sequence.index())
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
                beamGroups.remove(entry.getKey());
                notBegun.remove(request);
                try {
                    scheduler.remove(entry.getKey());
                    recorder.note(scheduler, pool);
                } finally { // whatever is wrong with those: nobody must wait for it for ever
                    end.accept(request);
                }
            }
        }
    }
}
