package org.dolly4j.sampling;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Beam search on numbers, as Hugging Face's {@code GenerationMixin._beam_search} does it without sampling: follows the
 * likeliest beginnings of an answer, a token longer at every step, and keeps the best answers that ended. Scores are
 * float32 sums of log-probabilities, as there. Of beams that tie the one that comes first wins, then the lowest token.
 * Not thread-safe.
 */
public final class BeamSearch {
    /** What a beam has that must not win; no sum of log-probabilities comes near. */
    private static final float LOST = -1e9f;

    private final BeamOptions options;
    private final int maxNewTokens;
    private final int kept;
    private List<Beam> running = new ArrayList<>();
    private List<Hypothesis> finished = List.of();
    private int length;
    private boolean canImprove = true;

    /**
     * The end of a beginning of an answer.
     *
     * @param parent what stands before it; null at the beginning
     * @param token the last token
     * @param logprobs what is to be told of it
     */
    private record Link(Link parent, int token, Optional<TokenLogprobs> logprobs) {}

    /** A beginning that is followed, and its sum of log-probabilities. */
    private record Beam(Link last, float score) {}

    /** An answer that ended, or a place for one. */
    private record Hypothesis(Link last, float score, boolean isFinished) {}

    /** A beam with one more token. */
    private record Candidate(int beam, Continuation continuation, float score, boolean ends) {
        Candidate ending(boolean does) {
            return new Candidate(beam, continuation, score, does);
        }
    }

    /**
     * A token that may come next.
     *
     * @param token the token
     * @param logprob its log-probability, after the processors
     * @param logprobs what is to be told of it
     */
    public record Continuation(int token, float logprob, Optional<TokenLogprobs> logprobs) {}

    /**
     * A beam of the next step.
     *
     * @param parent index of the beam that it goes on from
     * @param token its new token
     */
    public record Successor(int parent, int token) {}

    /**
     * An answer.
     *
     * @param tokens its tokens, with the one that ended it
     * @param logprobs what is to be told of each
     * @param score its log-probability, divided by the power of its length
     */
    public record Answer(int[] tokens, List<Optional<TokenLogprobs>> logprobs, double score) {}

    /** Tells whether an answer ends with a token. */
    @FunctionalInterface
    public interface Ending {
        /**
         * Whether it does.
         *
         * @param beam index of the beam before the token
         * @param token the token
         */
        boolean endsWith(int beam, int token);
    }

    /**
     * Begins with one beam, the prompt.
     *
     * @param maxNewTokens most tokens of an answer
     * @param endTokens how many tokens end an answer
     */
    public BeamSearch(BeamOptions options, int maxNewTokens, int endTokens) {
        this.options = options;
        this.maxNewTokens = maxNewTokens;
        kept = Math.max(2, 1 + endTokens) * options.beams();
        running.add(new Beam(null, 0));
        finished = Collections.nCopies(options.beams(), new Hypothesis(null, LOST, false));
    }

    /** How many of the likeliest continuations of each beam a step needs. */
    public int continuationsNeeded() {
        return kept;
    }

    /** Beams that are followed. */
    public int running() {
        return running.size();
    }

    /**
     * Goes on by a token.
     *
     * @param continuations of each running beam, the likeliest first
     * @param ending tells which tokens end an answer
     * @return the beams of the next step, the best first; none if the search is over
     */
    public List<Successor> advance(List<List<Continuation>> continuations, Ending ending) {
        List<Candidate> best = best(continuations, ending);
        finish(best);
        List<Candidate> next = best.stream()
                .sorted(Comparator.comparing(candidate -> -(candidate.score + (candidate.ends ? LOST : 0))))
                .limit(options.beams())
                .toList();
        boolean allEnd = best.stream().allMatch(Candidate::ends);
        running = next.stream()
                .map(candidate -> new Beam(link(candidate), candidate.score + (candidate.ends ? LOST : 0)))
                .toList();
        length++;
        canImprove = canImprove && bestPossible() > worstFinished();
        boolean isFull = isFull() && options.earlyStopping() == BeamOptions.EarlyStopping.WHEN_FULL;
        if (!canImprove || isFull || allEnd) {
            running = List.of();
            return List.of();
        }
        return next.stream()
                .map(candidate -> new Successor(candidate.beam, candidate.continuation.token))
                .toList();
    }

    /** The likeliest of all continuations of all beams. */
    private List<Candidate> best(List<List<Continuation>> continuations, Ending ending) {
        List<Candidate> all = new ArrayList<>();
        for (int beam = 0; beam < running.size(); beam++) {
            for (Continuation one : continuations.get(beam)) {
                all.add(new Candidate(beam, one, running.get(beam).score + one.logprob, false));
            }
        }
        all.sort(Comparator.comparing(candidate -> -candidate.score)); // stable: beams, and tokens, stay in order
        boolean isLast = length + 1 == maxNewTokens;
        return all.stream()
                .limit(kept)
                .map(one -> one.ending(isLast || ending.endsWith(one.beam, one.continuation.token)))
                .toList();
    }

    /** Takes the answers that end now and are among the best of the step, as far as they are better than others. */
    private void finish(List<Candidate> best) {
        boolean isClosed = !canImprove || (isFull() && options.earlyStopping() == BeamOptions.EarlyStopping.WHEN_FULL);
        List<Hypothesis> merged = new ArrayList<>(finished);
        for (int i = 0; i < Math.min(options.beams(), best.size()); i++) {
            Candidate candidate = best.get(i);
            if (candidate.ends && !isClosed) {
                merged.add(new Hypothesis(link(candidate), candidate.score / power(length + 1), true));
            }
        }
        merged.sort(Comparator.comparing(hypothesis -> -hypothesis.score));
        finished = List.copyOf(merged.subList(0, options.beams()));
    }

    private Link link(Candidate candidate) {
        Continuation last = candidate.continuation;
        return new Link(running.get(candidate.beam).last, last.token, last.logprobs);
    }

    private float bestPossible() {
        boolean countsOnMore =
                options.earlyStopping() == BeamOptions.EarlyStopping.NEVER && options.lengthPenalty() > 0;
        return running.get(0).score / power(countsOnMore ? maxNewTokens : length);
    }

    private float worstFinished() {
        return finished.get(finished.size() - 1).score;
    }

    private boolean isFull() {
        return finished.stream().allMatch(Hypothesis::isFinished);
    }

    private float power(int tokens) {
        return (float) StrictMath.pow(tokens, options.lengthPenalty());
    }

    /**
     * The answers found, best first.
     *
     * @param most how many at most
     */
    public List<Answer> answers(int most) {
        return finished.stream()
                .filter(Hypothesis::isFinished)
                .limit(most)
                .map(hypothesis -> answer(hypothesis.last, hypothesis.score))
                .toList();
    }

    private static Answer answer(Link last, float score) {
        List<Link> links = new ArrayList<>();
        for (Link link = last; link != null; link = link.parent) {
            links.add(link);
        }
        Collections.reverse(links);
        return new Answer(
                links.stream().mapToInt(Link::token).toArray(),
                links.stream().map(Link::logprobs).toList(),
                score);
    }
}
