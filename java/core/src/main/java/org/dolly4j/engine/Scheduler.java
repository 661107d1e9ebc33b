package org.dolly4j.engine;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.sampling.BeamSearch;

/**
 * Decides what runs next, on integers only: which tokens of which sequences, in which KV blocks. Requests begin in the
 * order in which they came, as soon as there is room for their prompts. What a step has room for beside a row for each
 * sequence that is being decoded (continuous batching) goes to prompts, in pieces (chunked prefill): half of it at
 * least to the oldest, the rest to shorter ones first, which so need not wait for a long one; and what is left then to
 * drafts of the next tokens ({@link Speculation}). If blocks run out, the sequence that came last gives its own up and
 * computes them again later: so the one that came first always goes on, and every request that fits by itself ends. Not
 * thread-safe; knows no clock and no model.
 */
final class Scheduler {
    private final BlockPool pool;
    private final Optional<Speculation> speculation;
    private final int maxRows;
    private final int maxLogitsRows;
    private final Set<SequenceGroup> groups = new LinkedHashSet<>();

    /** By arrival of their requests, and by index within one. */
    private final List<Sequence> running = new ArrayList<>();

    private long preemptions;
    private long lookedUpTokens;
    private long foundTokens;

    /**
     * @param maxRows most tokens of a step
     * @param maxLogitsRows most of them that want logits, and so most sequences that run together; no more than {@code
     *     maxRows}
     * @param speculation decides about drafts, if there are to be any
     */
    Scheduler(BlockPool pool, int maxRows, int maxLogitsRows, Optional<Speculation> speculation) {
        this.pool = pool;
        this.maxRows = maxRows;
        this.maxLogitsRows = maxLogitsRows;
        this.speculation = speculation;
    }

    /**
     * Blocks without which a request can never run: those of one sequence, or of all beams, which go on together and
     * share those of the prompt. The last token is drawn, but never cached.
     */
    static int leastBlocks(RequestSpec spec) {
        int blocks = Sequence.blocksFor(spec.prompt().length + spec.maxNewTokens() - 1);
        if (spec.beams().isEmpty()) {
            return blocks;
        }
        int shared = spec.prompt().length / DecoderSession.BLOCK_SIZE;
        // One more for each: what is cached of beams is given up only when another needs it.
        return shared + spec.beams().get().beams() * (blocks - shared + 1);
    }

    /** Adds a request that came after all others and fits into the pool by itself. */
    void add(SequenceGroup group) {
        groups.add(group);
    }

    /** Whether there is nothing to run. */
    boolean isIdle() {
        return groups.isEmpty();
    }

    /** Running sequences that take one row of the next step, unless they are preempted. */
    int decodingCount() {
        int count = 0;
        for (Sequence sequence : running) {
            count += sequence.uncached() == 1 ? 1 : 0;
        }
        return count;
    }

    /**
     * The next step. It has rows unless there are none to run.
     *
     * @param prefillRows most rows for prompts and given tokens, at least 1, beside the one of each sequence that is
     *     being decoded
     * @param mostRows rows of the step beyond which no guessed drafts are added
     */
    StepPlan plan(int prefillRows, int mostRows) {
        StepPlan plan = new StepPlan();
        int decoded = planRows(plan, prefillRows);
        while (plan.rows() == 0 && !running.isEmpty()) {
            // All that run are beams that rest until others of their search are as far: they make room for these.
            preempt(running.get(running.size() - 1));
            decoded = planRows(plan, prefillRows);
        }
        addDrafts(plan, decoded, Math.min(maxRows, decoded + prefillRows), Math.min(maxRows, mostRows));
        return plan;
    }

    /** Plans all but drafts, and says how many of the slices, the first ones, are those of sequences being decoded. */
    private int planRows(StepPlan plan, int prefillRows) {
        Set<Sequence> admitted = admit();
        List<Sequence> decoding = new ArrayList<>();
        List<Sequence> reading = new ArrayList<>();
        for (Sequence sequence : running) {
            if (sequence.uncached() > 1 || admitted.contains(sequence)) {
                foundTokens += sequence.takeKnownBlocks(); // others may have read the same meanwhile
                reading.add(sequence);
            } else if (sequence.uncached() == 1) {
                decoding.add(sequence);
            }
        }
        List<Sequence> shorter = shorterOnes(reading);
        int prompts = Math.min(prefillRows, maxRows - decoding.size());
        int spared = Math.min(
                prompts / 2, shorter.stream().mapToInt(Sequence::uncached).sum());
        planDecoding(plan, decoding, reading.stream().findFirst(), prompts - spared);
        int decoded = plan.slices().size();
        int end = Math.min(maxRows, decoded + prefillRows);
        if (!reading.isEmpty()) {
            planPrompt(plan, reading.get(0), end - spared);
            shorter.forEach(sequence -> planPrompt(plan, sequence, end));
            reading.forEach(sequence -> planPrompt(plan, sequence, end));
        }
        return decoded;
    }

    /**
     * A row for each sequence that is being decoded and, when it is the turn of the oldest prompt, blocks for so many
     * of its rows: whoever came later gives way to it.
     */
    private void planDecoding(StepPlan plan, List<Sequence> decoding, Optional<Sequence> oldestPrompt, int promptRows) {
        boolean isReserved = oldestPrompt.isEmpty();
        for (Sequence sequence : decoding) {
            if (!isReserved && comesBefore(oldestPrompt.get(), sequence)) {
                reserve(plan, oldestPrompt.get(), promptRows);
                isReserved = true;
            }
            if (running.contains(sequence)) {
                if (makeRoomFor(sequence, 1)) {
                    plan.add(sequence, 1);
                } else {
                    preempt(sequence);
                }
            }
        }
        if (!isReserved) {
            reserve(plan, oldestPrompt.get(), promptRows);
        }
    }

    private void reserve(StepPlan plan, Sequence prompt, int promptRows) {
        int rows = Math.min(promptRows, prompt.uncached());
        if (rows == 0 || !running.contains(prompt)) {
            return;
        }
        makeRoomFor(prompt, rows);
        int possible = Math.min(rows, prompt.rowsWithin(pool.availableCount()));
        if (possible > 0) {
            prompt.reserve(possible, plan);
        }
    }

    /** Preempts sequences that came later, the last one first, until there is room; none of them is planned yet. */
    private boolean makeRoomFor(Sequence sequence, int rows) {
        while (pool.availableCount() < sequence.blocksNeededFor(rows)) {
            Sequence last = running.get(running.size() - 1);
            if (last == sequence) {
                return false;
            }
            preempt(last);
        }
        return true;
    }

    /**
     * Those that have less left to read than the oldest one, the shortest first; without those that go on as it does or
     * as a shorter one, and will find in the cache what that one reads.
     */
    private static List<Sequence> shorterOnes(List<Sequence> reading) {
        List<Sequence> shorter = new ArrayList<>();
        if (reading.size() < 2) {
            return shorter;
        }
        Sequence oldest = reading.get(0);
        reading.stream()
                .filter(sequence -> sequence.uncached() < oldest.uncached() && !sequence.follows(oldest))
                .sorted(Comparator.comparingInt(Sequence::uncached))
                .filter(sequence -> shorter.stream().noneMatch(sequence::follows))
                .forEachOrdered(shorter::add);
        return shorter;
    }

    /** Adds the next rows of a prompt, as many as there are blocks for, unless it has rows already. */
    private void planPrompt(StepPlan plan, Sequence sequence, int end) {
        if (plan.rows() >= end || plan.has(sequence) || !running.contains(sequence)) {
            return;
        }
        int possible = sequence.rowsWithin(pool.availableCount());
        int rows = Math.min(possible, Math.min(sequence.uncached(), end - plan.rows()));
        if (rows > 0) {
            plan.add(sequence, rows);
        }
    }

    /**
     * Begins what waits, as long as there is room: first a sequence of each request, in the order in which they came,
     * then the others. So a request for many answers leaves every row that becomes free to those that came later.
     */
    private Set<Sequence> admit() {
        Set<Sequence> admitted = new HashSet<>();
        if (admit(SequenceGroup::comesFirst, admitted)) {
            admit(group -> true, admitted);
        }
        return admitted;
    }

    /** Begins what waits of some requests, and says whether there was room for all. */
    private boolean admit(Predicate<SequenceGroup> isMeant, Set<Sequence> admitted) {
        for (SequenceGroup group : groups) {
            while (group.hasWaiting() && isMeant.test(group) && !readsPrompt(group)) {
                Sequence sequence = group.firstWaiting(pool);
                if (!admit(sequence)) {
                    return false;
                }
                admitted.add(sequence);
            }
        }
        return true;
    }

    /** Begins a waiting sequence, or says that there is no room. */
    private boolean admit(Sequence sequence) {
        // Of a search that has not begun to branch, one sequence runs.
        int expected =
                running.stream().mapToInt(one -> one.group().expectedBeams()).sum();
        if (running.size() + expected >= maxLogitsRows) {
            return false;
        }
        int found = sequence.takeKnownBlocks();
        if (!hasRoomFor(sequence)) {
            sequence.release();
            return false;
        }
        lookedUpTokens += sequence.length();
        foundTokens += found;
        begin(sequence);
        return true;
    }

    /** Whether a beam of a search reads the prompt: the others wait for it, and then share it. */
    private boolean readsPrompt(SequenceGroup group) {
        int shared = group.spec().prompt().length / DecoderSession.BLOCK_SIZE * DecoderSession.BLOCK_SIZE;
        return group.spec().beams().isPresent()
                && running.stream().anyMatch(beam -> beam.group() == group && beam.cached() < shared);
    }

    /** Whether all uncached tokens fit beside those of other prompts and a block more for each running sequence. */
    private boolean hasRoomFor(Sequence sequence) {
        int needed = sequence.blocksNeededFor(sequence.uncached());
        for (Sequence other : running) {
            needed += 1 + (other.uncached() > 1 ? other.blocksNeededFor(other.uncached()) : 0);
        }
        return needed <= pool.availableCount() || running.isEmpty();
    }

    /**
     * Adds drafts to the first slices, with what is left of rows and, beside one for each sequence, of blocks. Tokens
     * that are given are sure to be accepted: they are read as those of prompts are.
     *
     * @param givenEnd rows of the step beyond which no given tokens are added
     * @param guessedEnd the same for guesses
     */
    private void addDrafts(StepPlan plan, int decoded, int givenEnd, int guessedEnd) {
        speculation.ifPresent(decides -> decides.begin(plan.rows()));
        for (int i = 0; i < decoded; i++) {
            Sequence sequence = plan.slices().get(i).sequence();
            RequestSpec spec = sequence.group().spec();
            boolean guesses = speculation.isPresent() && spec.beams().isEmpty();
            boolean mayDraft = spec.isScoring() || guesses;
            if (!mayDraft || sequence.length() == sequence.promptLength()) {
                continue; // in the latter case the others of its request begin with this row
            }
            sequence.draft();
            int end = spec.isScoring() ? givenEnd : guessedEnd;
            int free = Math.max(0, pool.availableCount() - running.size());
            int most = Math.min(
                    Math.min(sequence.drafts(), sequence.rowsWithin(free) - 1),
                    Math.min(end - plan.rows(), maxLogitsRows - plan.logitsRows()));
            int drafts = spec.isScoring()
                    ? most
                    : speculation.orElseThrow().drafts(sequence.matchLength(), most, plan.rows());
            if (drafts > 0) {
                plan.addDrafts(i, drafts);
            }
        }
    }

    private void begin(Sequence sequence) {
        sequence.group().begin(sequence);
        int at = running.size();
        while (at > 0 && comesBefore(sequence, running.get(at - 1))) {
            at--;
        }
        running.add(at, sequence);
    }

    private static boolean comesBefore(Sequence one, Sequence other) {
        long arrival = one.group().arrival();
        long otherArrival = other.group().arrival();
        return arrival < otherArrival || (arrival == otherArrival && one.index() < other.index());
    }

    private void preempt(Sequence sequence) {
        running.remove(sequence);
        preemptions += sequence.blocks() > 0 ? 1 : 0;
        sequence.release();
        sequence.group().preempt(sequence);
    }

    /** Counts the rows of a step that has run as cached, but for drafts. */
    void markCached(StepPlan plan) {
        for (StepPlan.Slice slice : plan.slices()) {
            slice.sequence().markCached(slice.rows() - slice.drafts());
            if (slice.isLast()) {
                slice.sequence().group().promptIsCached();
            }
        }
    }

    /**
     * Begins sequences of a request that share the prompt with its first one, which has just been cached and has no
     * token of its own yet; as many as there is room for, unless another request waits for its first one. The others
     * begin later.
     */
    List<Sequence> fork(Sequence first) {
        SequenceGroup group = first.group();
        List<Sequence> forks = new ArrayList<>();
        if (groups.stream().anyMatch(other -> other.running() == 0 && other.hasWaiting())) {
            return forks;
        }
        while (group.hasUnstarted() && running.size() < maxLogitsRows && pool.availableCount() > running.size()) {
            Sequence fork = first.fork(group.started());
            begin(fork);
            forks.add(fork);
        }
        return forks;
    }

    /**
     * Goes on with the beams of the next step of a search: the first successor of a beam takes its place, others share
     * what is cached of it, and beams without one end.
     *
     * @param beams those of the last step
     * @return the sequences of the successors, each with its new token
     */
    List<Sequence> succeed(List<Sequence> beams, List<BeamSearch.Successor> successors) {
        BitSet parents = new BitSet();
        successors.forEach(successor -> parents.set(successor.parent()));
        BitSet indexes = new BitSet();
        for (int i = 0; i < beams.size(); i++) {
            if (parents.get(i)) {
                indexes.set(beams.get(i).index());
            } else {
                endBeam(beams.get(i));
            }
        }
        List<Sequence> next = new ArrayList<>();
        for (BeamSearch.Successor successor : successors) {
            Sequence parent = beams.get(successor.parent());
            if (parents.get(successor.parent())) {
                parents.clear(successor.parent());
                next.add(parent);
            } else {
                int index = indexes.nextClearBit(0);
                indexes.set(index);
                next.add(forkBeam(parent, index));
            }
        }
        for (int i = 0; i < next.size(); i++) {
            next.get(i).append(successors.get(i).token());
        }
        return next;
    }

    private Sequence forkBeam(Sequence parent, int index) {
        Sequence fork = parent.fork(index);
        if (running.contains(parent) && running.size() < maxLogitsRows) {
            begin(fork);
        } else {
            fork.release();
            fork.group().addWaiting(fork);
        }
        return fork;
    }

    private void endBeam(Sequence sequence) {
        sequence.release();
        if (running.remove(sequence)) {
            sequence.group().end();
        } else {
            sequence.group().endWaiting(sequence);
        }
    }

    /** Ends a running sequence. */
    void end(Sequence sequence) {
        sequence.release();
        running.remove(sequence);
        SequenceGroup group = sequence.group();
        group.end();
        if (group.hasEnded()) {
            groups.remove(group);
        }
    }

    /** Ends all sequences of a request. */
    void remove(SequenceGroup group) {
        if (groups.remove(group)) {
            running.removeIf(sequence -> {
                if (sequence.group() != group) {
                    return false;
                }
                sequence.release();
                return true;
            });
        }
    }

    /** How many of those that run have had a row since they began. */
    int sequencesWithRows() {
        return (int) running.stream().filter(Sequence::hasRows).count();
    }

    /** Sequences that run, in the order in which they came. */
    List<Sequence> running() {
        return running;
    }

    /** How often a sequence had to give its blocks up. */
    long preemptions() {
        return preemptions;
    }

    /** Tokens of all sequences when they began, or went on after they were preempted. */
    long lookedUpTokens() {
        return lookedUpTokens;
    }

    /** How many of these were in the cache. */
    long foundTokens() {
        return foundTokens;
    }
}
