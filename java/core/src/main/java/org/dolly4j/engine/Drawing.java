package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dolly4j.sampling.Candidates;
import org.dolly4j.sampling.Sampler;
import org.dolly4j.sampling.TokenLogprobs;

/**
 * The tokens drawn for a sequence after a step: one, and another after each draft that was drawn. {@link #draw} changes
 * neither sequence nor request but their sampler, so different drawings may be made by different threads at once.
 */
final class Drawing implements LogitsWork {
    private final Request request;
    private final Sampler sampler;
    private final Sequence sequence;
    private final int row;
    private final int drafts;
    private final List<Drawn> drawn;

    /** What broke off the drawing of the token after those drawn, if something did. */
    private Throwable failure;

    /** A token, with what the request wants to know of it. */
    record Drawn(int token, Optional<TokenLogprobs> logprobs) {}

    /**
     * @param row of the step's logits, that of the sequence's last token; those of its drafts follow
     * @param drafts how many of the sequence's drafts the step has run
     */
    Drawing(Request request, Sequence sequence, int row, int drafts) {
        this.request = request;
        sampler = request.sampler(sequence.index());
        this.sequence = sequence;
        this.row = row;
        this.drafts = drafts;
        drawn = new ArrayList<>(drafts + 1);
    }

    Request request() {
        return request;
    }

    Sequence sequence() {
        return sequence;
    }

    int drafts() {
        return drafts;
    }

    /**
     * A token drawn.
     *
     * @param index 0, and so on as long as the tokens drawn are the drafts
     * @throws Throwable what broke the drawing off
     */
    Drawn get(int index) throws Throwable {
        if (index == drawn.size() && failure != null) {
            throw failure;
        }
        return drawn.get(index);
    }

    @Override
    public void draw(FloatBuffer logits, Candidates workspace) {
        try {
            sampler.workIn(workspace);
            for (int i = 0; i <= drafts; i++) {
                Drawn next = draw(logits.position((row + i) * workspace.vocabSize()), sequence.length() + i);
                drawn.add(next);
                if (i == drafts || next.token != sequence.tokens()[sequence.length() + i]) {
                    return;
                }
            }
        } catch (Throwable thrown) {
            failure = thrown;
        }
    }

    private Drawn draw(FloatBuffer logits, int length) {
        RequestSpec spec = request.spec();
        int promptLength = sequence.promptLength();
        int token = sampler.sample(logits, sequence.tokens(), length, promptLength, spec.seedOf(sequence.index()));
        if (spec.isScoring()) { // the logits are in order: a token could be drawn
            token = spec.given().get(sequence.index())[length - promptLength];
        }
        Optional<TokenLogprobs> logprobs = spec.topLogprobs().isEmpty()
                ? Optional.empty()
                : Optional.of(sampler.logprobs(logits, token, spec.topLogprobs().getAsInt()));
        return new Drawn(token, logprobs);
    }
}
