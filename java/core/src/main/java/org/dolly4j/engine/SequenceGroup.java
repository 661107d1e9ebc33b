package org.dolly4j.engine;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.dolly4j.sampling.BeamOptions;

/** The sequences of one request: those that run, those that had to give their blocks up, and those not begun yet. */
final class SequenceGroup {
    private static final Comparator<Sequence> BY_INDEX = Comparator.comparingInt(Sequence::index);

    private final RequestSpec spec;
    private final long arrival;
    private final String salt;
    private final List<Sequence> preempted = new ArrayList<>();
    private int started;
    private int running;
    private boolean promptCached;
    private Sequence next;

    /**
     * @param arrival number of the request; lower ones come first
     * @param salt blocks are shared among groups with the same
     */
    SequenceGroup(RequestSpec spec, long arrival, String salt) {
        this.spec = spec;
        this.arrival = arrival;
        this.salt = salt;
    }

    RequestSpec spec() {
        return spec;
    }

    long arrival() {
        return arrival;
    }

    String salt() {
        return salt;
    }

    /** Sequences begun so far. */
    int started() {
        return started;
    }

    int running() {
        return running;
    }

    boolean hasUnstarted() {
        return started < spec.begunAtFirst();
    }

    /** Whether there is one to begin or go on with. While the first one reads the prompt, the others wait for it. */
    boolean hasWaiting() {
        return firstPreempted().isPresent() || (hasUnstarted() && (started == 0 || promptCached));
    }

    /** Whether there is one to go on with, or none of them runs. */
    boolean comesFirst() {
        return running == 0 || firstPreempted().isPresent();
    }

    private Optional<Sequence> firstPreempted() {
        return preempted.stream().filter(sequence -> !sequence.isResting()).findFirst();
    }

    /** The waiting sequence that comes first. */
    Sequence firstWaiting(BlockPool pool) {
        Optional<Sequence> first = firstPreempted();
        if (first.isPresent()) {
            return first.get();
        }
        if (next == null || next.index() != started) {
            next = Sequence.of(this, started, pool);
        }
        return next;
    }

    /** The first waiting sequence, or a fork that takes its place, runs from now on. */
    void begin(Sequence sequence) {
        if (!preempted.remove(sequence)) {
            started++;
        }
        running++;
    }

    /** A sequence that runs has to wait. */
    void preempt(Sequence sequence) {
        running--;
        preempted.add(sequence);
        preempted.sort(BY_INDEX);
    }

    /** A sequence has to wait that did not run yet. */
    void addWaiting(Sequence sequence) {
        preempted.add(sequence);
        preempted.sort(BY_INDEX);
    }

    /** A sequence that waits has ended. */
    void endWaiting(Sequence sequence) {
        preempted.remove(sequence);
    }

    /** Beams of a search that begin when its prompt has been read, which it is by the first one. */
    int expectedBeams() {
        int beams = spec.beams().map(BeamOptions::beams).orElse(0);
        return running == 0 ? 0 : Math.max(0, beams - running - preempted.size());
    }

    /** A running sequence has ended. */
    void end() {
        running--;
    }

    /** The prompt is in the cache: sequences not begun find it there. */
    void promptIsCached() {
        promptCached = true;
    }

    /** Whether no sequence runs or will. */
    boolean hasEnded() {
        return running == 0 && preempted.isEmpty() && !hasUnstarted();
    }
}
