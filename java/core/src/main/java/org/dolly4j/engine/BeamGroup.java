package org.dolly4j.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.dolly4j.sampling.BeamSearch;
import org.dolly4j.sampling.BeamSearch.Continuation;

/**
 * The beams of a request. They go on together: once the continuations of each are known, be it after different steps.
 */
final class BeamGroup {
    private final RequestSpec spec;
    private final BeamSearch search;
    private List<Sequence> beams;
    private List<List<Continuation>> continuations;

    /** @param first the prompt */
    BeamGroup(RequestSpec spec, Sequence first) {
        this.spec = spec;
        search = new BeamSearch(
                spec.beams().orElseThrow(), spec.maxNewTokens(), spec.endIds().length + spec.stopIds().length);
        become(List.of(first));
    }

    private void become(List<Sequence> next) {
        beams = next;
        continuations = new ArrayList<>(Collections.nCopies(next.size(), null));
    }

    /** How many of the likeliest continuations of a beam are needed. */
    int continuationsNeeded() {
        return search.continuationsNeeded();
    }

    /** Takes the continuations of a beam, unless it has ended. */
    void take(Sequence beam, List<Continuation> of) {
        int index = beams.indexOf(beam);
        if (index >= 0) {
            continuations.set(index, of);
            beam.rest();
        }
    }

    /**
     * Goes on by a token, if the continuations of all beams are known.
     *
     * @return whether the search is over
     */
    boolean advance(Scheduler scheduler) {
        if (continuations.contains(null)) {
            return false;
        }
        List<BeamSearch.Successor> successors = search.advance(continuations, this::ends);
        if (successors.isEmpty()) {
            return true;
        }
        become(scheduler.succeed(beams, successors));
        return false;
    }

    private boolean ends(int beam, int token) {
        if (Arrays.stream(spec.endIds()).anyMatch(id -> id == token)
                || Arrays.stream(spec.stopIds()).anyMatch(id -> id == token)) {
            return true;
        }
        if (spec.stopCondition() == StopCondition.NEVER) {
            return false;
        }
        Sequence sequence = beams.get(beam);
        int length = sequence.length() - sequence.promptLength();
        int[] answer = Arrays.copyOfRange(sequence.tokens(), sequence.promptLength(), sequence.length() + 1);
        answer[length] = token;
        return spec.stopCondition().endsWith(answer);
    }

    /** The answers found, best first. */
    List<BeamSearch.Answer> answers() {
        return search.answers(spec.sequences());
    }
}
