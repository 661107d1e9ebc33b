package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.util.List;
import org.dolly4j.sampling.BeamSearch.Continuation;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;

/** Finds the likeliest continuations of a beam after a step. */
final class BeamDrawing implements LogitsWork {
    private final Request request;
    private final Sampler sampler;
    private final BeamGroup group;
    private final Sequence beam;
    private final int length;
    private final int row;
    private List<Continuation> continuations;
    private Throwable failure;

    /** @param row of the step's logits, that of the beam's last token */
    BeamDrawing(Request request, BeamGroup group, Sequence beam, int row) {
        this.request = request;
        this.group = group;
        this.beam = beam;
        this.length = beam.length();
        this.row = row;
        sampler = request.sampler(beam.index());
    }

    Request request() {
        return request;
    }

    BeamGroup group() {
        return group;
    }

    @Override
    public void draw(FloatBuffer logits, Candidates workspace) {
        try {
            sampler.workIn(workspace);
            continuations = sampler.continuations(
                    logits.position(row * workspace.vocabSize()),
                    beam.tokens(),
                    length,
                    beam.promptLength(),
                    group.continuationsNeeded(),
                    request.spec().topLogprobs());
        } catch (Throwable thrown) {
            failure = thrown;
        }
    }

    /**
     * Gives the group what was found, unless the search went on meanwhile: what it knew of a beam that had to give up
     * its blocks is found again.
     *
     * @throws Throwable what broke it off
     */
    void handOver() throws Throwable {
        if (failure != null) {
            throw failure;
        }
        if (beam.length() == length) {
            group.take(beam, continuations);
        }
    }
}
