package org.dolly4j;

import org.dolly4j.engine.Ending;
import org.dolly4j.engine.EngineCounters;
import org.dolly4j.engine.LatencyHistogram;
import org.dolly4j.runtime.DecoderSession;

/**
 * What a loaded model has done and what it holds, in numbers, at one moment. Totals count from the load, or the last
 * {@link Dolly#reload reload}, and do not go down until the next one; those of requests may be a moment newer than the
 * others.
 *
 * @param requests where requests are, and how they ended
 * @param kvCache what the KV cache holds
 * @param tokens tokens read, found in the prefix cache, and written
 * @param steps what ran
 * @param latencies how long things took
 */
public record EngineMetrics(Requests requests, KvCache kvCache, Tokens tokens, Steps steps, Latencies latencies) {
    /**
     * Where requests are, and how they ended.
     *
     * @param waiting those that wait for their first step now
     * @param running those that have begun and not ended now
     * @param completed total of those of which all answers came to an end
     * @param cancelled total of those that were cancelled
     * @param late total of those that their deadline ended
     * @param failed total of those that failed or that the closing of the model ended
     * @param rejected total of those that were refused with {@link EngineOverloadedException}; they count nowhere else
     */
    public record Requests(
            int waiting, int running, long completed, long cancelled, long late, long failed, long rejected) {}

    /**
     * What the KV cache holds now, in tokens, whole blocks of 16.
     *
     * @param usedTokens room that running sequences hold
     * @param keptTokens room that none holds, but that is kept for prompts which begin like earlier ones; it is there
     *     for whoever needs it
     * @param totalTokens all of it
     */
    public record KvCache(int usedTokens, int keptTokens, int totalTokens) {}

    /**
     * Totals of tokens.
     *
     * @param readPromptTokens prompt tokens that passed through the model; again where a preempted sequence goes on
     * @param lookedUpTokens tokens of prompts, and of preempted sequences that go on, which were looked up in the
     *     prefix cache
     * @param foundTokens how many of these were found there, and so not read
     * @param generatedTokens tokens of answers, their end tokens included
     * @param draftTokens draft tokens that were verified (speculation)
     * @param acceptedDraftTokens how many of these were the tokens drawn, so that each saved a step
     * @param generatedPerSecond tokens of answers per second in the last ten seconds, idle time included; since the
     *     load if that was later
     */
    public record Tokens(
            long readPromptTokens,
            long lookedUpTokens,
            long foundTokens,
            long generatedTokens,
            long draftTokens,
            long acceptedDraftTokens,
            double generatedPerSecond) {
        /** Share of the tokens looked up that were found, 0 to 1; 0 if none was looked up. */
        public double hitRate() {
            return lookedUpTokens == 0 ? 0 : (double) foundTokens / lookedUpTokens;
        }
    }

    /**
     * What ran. In a step, one or more tokens of one or more sequences pass through the model together.
     *
     * @param sequences sequences that run now, from their first row on
     * @param count total of steps
     * @param rows total of their rows, each one token of one sequence
     * @param preemptions total of sequences that gave their KV cache up for others, to compute it again later
     */
    public record Steps(int sequences, long count, long rows, long preemptions) {}

    /**
     * How long things took, since the load.
     *
     * @param queue from the submission of a request to its first step; not of requests that ended before
     * @param firstToken from the submission of a request to its first token
     * @param betweenTokens from a token of an answer to its next one
     * @param step what the backend took for a step
     */
    public record Latencies(
            LatencyHistogram queue,
            LatencyHistogram firstToken,
            LatencyHistogram betweenTokens,
            LatencyHistogram step) {}

    /** The numbers as they are now. */
    static EngineMetrics of(EngineCounters counters) {
        return counters.consistently(() -> new EngineMetrics(
                requests(counters), kvCache(counters), tokens(counters), steps(counters), latencies(counters)));
    }

    private static Requests requests(EngineCounters counters) {
        return new Requests(
                counters.waiting(),
                counters.running(),
                counters.ended(Ending.COMPLETED),
                counters.ended(Ending.CANCELLED),
                counters.ended(Ending.DEADLINE),
                counters.ended(Ending.FAILED),
                counters.rejected());
    }

    private static KvCache kvCache(EngineCounters counters) {
        return new KvCache(
                counters.usedBlocks() * DecoderSession.BLOCK_SIZE,
                counters.keptBlocks() * DecoderSession.BLOCK_SIZE,
                counters.blocks() * DecoderSession.BLOCK_SIZE);
    }

    private static Tokens tokens(EngineCounters counters) {
        return new Tokens(
                counters.promptRows(),
                counters.lookedUpTokens(),
                counters.foundTokens(),
                counters.generatedTokens(),
                counters.draftTokens(),
                counters.acceptedDraftTokens(),
                counters.tokensPerSecond());
    }

    private static Steps steps(EngineCounters counters) {
        return new Steps(counters.sequences(), counters.steps(), counters.rows(), counters.preemptions());
    }

    private static Latencies latencies(EngineCounters counters) {
        return new Latencies(
                counters.queueTimes(), counters.firstTokenTimes(), counters.tokenTimes(), counters.stepTimes());
    }
}
