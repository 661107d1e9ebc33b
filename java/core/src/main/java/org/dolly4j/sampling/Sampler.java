package org.dolly4j.sampling;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.BackendException;
import org.dolly4j.DollyException;

/**
 * Chooses tokens by {@link SamplingOptions}. Filters and their order are those of Hugging Face's {@code generate}; the
 * draw is not torch's: the random number is Philox4x32-10 of seed and position, and picks by inversion of the
 * distribution function over the remaining tokens in ascending order of ids. So a seed gives the same tokens whatever
 * other requests run beside it. Ties go to the lowest id.
 *
 * <p>Allocates nothing per token once its work space has grown to its size. Not thread-safe.
 */
public final class Sampler {
    /** Ascending ids stay in their order where they tie, since sorting is stable. */
    private static final Comparator<TokenLogprobs.Alternative> BY_LOGPROB =
            Comparator.comparingDouble(TokenLogprobs.Alternative::logprob).reversed();

    private final SamplingOptions options;
    private final int[] eosIds;
    private final int maxNewTokens;
    private Candidates candidates;
    private final LogitsProcessor[] processors;
    private final LogitsWarper[] warpers;
    private final List<String> processorNames;
    private final Philox random = new Philox();

    /**
     * A sampler with a work space of its own.
     *
     * @param options what to do
     * @param vocabSize length of a logits row
     * @param eosIds end tokens, which min length and min new tokens hold back
     * @throws IllegalArgumentException if {@code vocabSize} is less than 1, or a bad word or a sequence with a bias
     *     holds an id outside it
     */
    public Sampler(SamplingOptions options, int vocabSize, int[] eosIds) {
        this(options, eosIds, Integer.MAX_VALUE, new Candidates(vocabSize));
    }

    /**
     * A sampler that shares its work space, of up to 32 bytes per token of the vocabulary, with others that are not used
     * at the same time.
     *
     * @param options what to do
     * @param eosIds end tokens, which min length and min new tokens hold back
     * @param maxNewTokens most tokens of the answer, the last of which may be forced to be an end token
     * @param workspace made for the model's vocabulary
     * @throws IllegalArgumentException if a bad word or a sequence with a bias holds an id outside the vocabulary
     */
    public Sampler(SamplingOptions options, int[] eosIds, int maxNewTokens, Candidates workspace) {
        this.options = options;
        this.eosIds = eosIds.clone();
        this.maxNewTokens = maxNewTokens;
        candidates = workspace;
        ProcessorChain chain = new ProcessorChain(options, workspace.vocabSize(), this.eosIds, maxNewTokens);
        processors = chain.processors();
        warpers = chain.warpers();
        processorNames = chain.names();
    }

    /** One that does the same, and may be used at the same time, in another work space. */
    public Sampler copy() {
        return new Sampler(options, eosIds, maxNewTokens, candidates);
    }

    /** Shares another work space from now on, made for the same vocabulary: that of the thread that uses it next. */
    public void workIn(Candidates workspace) {
        if (workspace.vocabSize() != candidates.vocabSize()) {
            throw new IllegalArgumentException(
                    "a work space of " + workspace.vocabSize() + " tokens is not one of " + candidates.vocabSize());
        }
        candidates = workspace;
    }

    /** Hugging Face's names of the processors that the options build, in the order in which they apply. */
    public List<String> processorNames() {
        return processorNames;
    }

    /**
     * Chooses the next token.
     *
     * @param logits at least {@code vocabSize} floats from its position on, of which negative infinity means
     *     impossible; not changed
     * @param history prompt and tokens so far; ids outside the vocabulary are ignored
     * @param historyLength how many of {@code history} count; also the position of the drawn token
     * @param promptLength how many of them are the prompt
     * @param seed key of the random number together with the position
     * @return token id
     * @throws BackendException if a logit is NaN or positive infinity, or all are negative infinity
     * @throws DollyException if the options leave no token, or make scores overflow
     * @throws IllegalArgumentException if the lengths do not fit
     */
    public int sample(FloatBuffer logits, int[] history, int historyLength, int promptLength, long seed) {
        process(logits, history, historyLength, promptLength);
        if (!options.doSample()) {
            return candidates.bestId();
        }
        for (LogitsWarper warper : warpers) {
            warper.warp(candidates);
        }
        return candidates.draw(random.uniform(seed, historyLength));
    }

    /**
     * The distribution that {@link #sample} draws from, or takes the best token of; parameters and exceptions are the
     * same.
     */
    public TokenDistribution distribution(FloatBuffer logits, int[] history, int historyLength, int promptLength) {
        process(logits, history, historyLength, promptLength);
        for (LogitsWarper warper : warpers) {
            warper.warp(candidates);
        }
        candidates.retainAtLeast(Double.NEGATIVE_INFINITY);
        int count = candidates.count();
        int[] ids = new int[count];
        float[] scores = new float[count];
        for (int i = 0; i < count; i++) {
            ids[i] = candidates.id(i);
            scores[i] = candidates.score(i);
        }
        return new TokenDistribution(ids, scores, candidates.probabilities());
    }

    /**
     * The likeliest next tokens for {@link BeamSearch}: there the processors work on log-probabilities, not on logits,
     * and nothing is drawn. Parameters and exceptions are those of {@link #sample}.
     *
     * @param count how many at most, the likeliest first, of equal ones the lowest id; those that are impossible are
     *     left out
     * @param top how many of the likeliest tokens come with each, and its own likelihood; empty for none of that
     */
    public List<BeamSearch.Continuation> continuations(
            FloatBuffer logits, int[] history, int historyLength, int promptLength, int count, OptionalInt top) {
        checkLengths(logits, history, historyLength, promptLength);
        candidates.load(logits);
        candidates.sumWeights();
        candidates.subtract(candidates.max() + StrictMath.log(candidates.expSum()));
        float[] scores = candidates.vocabularyScores();
        for (LogitsProcessor processor : processors) {
            processor.process(scores, history, historyLength, promptLength);
        }
        if (!Float.isFinite(candidates.max())) {
            throw noFiniteMaximum(logits, history, historyLength, promptLength);
        }
        for (LogitsWarper warper : warpers) { // without draws there is none but the normalization
            warper.warp(candidates);
        }
        List<TokenLogprobs.Alternative> best = best(count, 0);
        Optional<RowLogprobs> told =
                top.isEmpty() ? Optional.empty() : Optional.of(rowLogprobs(logits, top.getAsInt()));
        return best.stream()
                .map(one -> new BeamSearch.Continuation(
                        one.tokenId(), (float) one.logprob(), told.map(row -> row.of(logits, one.tokenId()))))
                .toList();
    }

    /** What is told of every token of a row: what its logit has to be lessened by, and the likeliest ones. */
    private record RowLogprobs(double offset, List<TokenLogprobs.Alternative> top) {
        TokenLogprobs of(FloatBuffer logits, int token) {
            return new TokenLogprobs(logits.get(logits.position() + token) - offset, top);
        }
    }

    private RowLogprobs rowLogprobs(FloatBuffer logits, int top) {
        candidates.load(logits);
        candidates.sumWeights();
        double offset = candidates.max() + StrictMath.log(candidates.expSum());
        return new RowLogprobs(offset, top > 0 ? best(top, offset) : List.of());
    }

    /** So many of the candidates with the greatest scores, lessened by something, the greatest first. */
    private List<TokenLogprobs.Alternative> best(int count, double offset) {
        candidates.retainBest(count);
        List<TokenLogprobs.Alternative> best = new ArrayList<>();
        for (int i = 0; i < candidates.count(); i++) {
            best.add(new TokenLogprobs.Alternative(candidates.id(i), candidates.score(i) - offset));
        }
        best.sort(BY_LOGPROB);
        return best.subList(0, Math.min(count, best.size()));
    }

    /**
     * How likely the model finds a token, whatever the options.
     *
     * @param logits as {@link #sample} takes them, and has found them in order
     * @param token the token
     * @param top how many of the likeliest tokens to add, at most {@link TokenLogprobs#MAX_TOP}
     */
    public TokenLogprobs logprobs(FloatBuffer logits, int token, int top) {
        return rowLogprobs(logits, top).of(logits, token);
    }

    /** Loads and processes the scores of the whole vocabulary; the greatest is finite then. */
    private void process(FloatBuffer logits, int[] history, int historyLength, int promptLength) {
        checkLengths(logits, history, historyLength, promptLength);
        float max = process(logits, processors, history, historyLength, promptLength);
        if (!Float.isFinite(max)) {
            throw noFiniteMaximum(logits, history, historyLength, promptLength);
        }
    }

    private void checkLengths(FloatBuffer logits, int[] history, int historyLength, int promptLength) {
        int vocabSize = candidates.vocabSize();
        if (logits.remaining() < vocabSize) {
            throw new IllegalArgumentException(
                    "a logits row has " + vocabSize + " floats, but the buffer holds " + logits.remaining());
        }
        if (promptLength < 0 || historyLength < promptLength || history.length < historyLength) {
            throw new IllegalArgumentException("lengths must be 0 <= promptLength <= historyLength <= history.length,"
                    + " but are " + promptLength + ", " + historyLength + ", " + history.length);
        }
    }

    private float process(
            FloatBuffer logits, LogitsProcessor[] chain, int[] history, int historyLength, int promptLength) {
        candidates.load(logits);
        float[] scores = candidates.vocabularyScores();
        for (LogitsProcessor processor : chain) {
            processor.process(scores, history, historyLength, promptLength);
        }
        return candidates.max();
    }

    private DollyException noFiniteMaximum(FloatBuffer logits, int[] history, int historyLength, int promptLength) {
        int vocabSize = candidates.vocabSize();
        float greatest = Float.NEGATIVE_INFINITY;
        for (int id = 0; id < vocabSize; id++) {
            float logit = logits.get(logits.position() + id);
            if (Float.isNaN(logit) || logit == Float.POSITIVE_INFINITY) {
                return new BackendException("logits are not finite: that of token " + id + " is " + logit
                        + ". The weights are damaged or a computation overflowed; check the checkpoint, or run it"
                        + " in float32");
            }
            greatest = Math.max(greatest, logit);
        }
        if (greatest == Float.NEGATIVE_INFINITY) {
            return new BackendException("logits are not finite: all " + vocabSize + " are -Infinity. The weights are"
                    + " damaged or a computation overflowed; check the checkpoint, or run it in float32");
        }
        SamplingOptions bans =
                options.toBuilder().temperature(1).repetitionPenalty(1).build();
        LogitsProcessor[] banning = new ProcessorChain(bans, vocabSize, eosIds, maxNewTokens).processors();
        greatest = process(logits, banning, history, historyLength, promptLength);
        if (greatest == Float.NEGATIVE_INFINITY) {
            return new DollyException(
                    "the sampling options leave no token to choose from: " + options + ". Ban fewer tokens");
        }
        return new DollyException("the greatest logit, " + greatest + ", overflows with temperature = "
                + options.temperature() + " and repetitionPenalty = " + options.repetitionPenalty()
                + "; set them nearer to 1, or doSample = false for the best token");
    }
}
