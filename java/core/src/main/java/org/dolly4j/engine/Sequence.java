package org.dolly4j.engine;

import java.util.Arrays;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;

/** Tokens of a prompt and of one answer to it, how many of them are in the KV cache, and in which blocks. */
final class Sequence {
    private final SequenceGroup group;
    private final int index;
    private final BlockPool pool;
    private final int[] tokens;
    private final int[] blockTable;
    private int length;
    private int cached;
    private int blocks;

    /** Full blocks that the pool knows the contents of, and the identity of those of the last one. */
    private int identified;

    private long contents = BlockPool.NOTHING;

    /** Tokens that may follow, which stand behind those that count, and the length of the match that told them. */
    private int drafts;

    private int matchLength;

    /** Whether what follows is known, and waits for that of other beams. */
    private boolean resting;

    /** Whether a step has had rows of it since it began. */
    private boolean hasRows;

    private Sequence(SequenceGroup group, int index, BlockPool pool, int[] tokens, int length) {
        this.group = group;
        this.index = index;
        this.pool = pool;
        this.tokens = tokens;
        this.length = length;
        blockTable = new int[blocksFor(tokens.length)];
    }

    /** The prompt of a request, with room for an answer; nothing is cached yet. */
    static Sequence of(SequenceGroup group, int index, BlockPool pool) {
        RequestSpec spec = group.spec();
        int[] prompt = spec.prompt();
        return new Sequence(
                group, index, pool, Arrays.copyOf(prompt, prompt.length + spec.maxNewTokens()), prompt.length);
    }

    /** Blocks that hold a number of tokens. */
    static int blocksFor(int tokens) {
        return (tokens + DecoderSession.BLOCK_SIZE - 1) / DecoderSession.BLOCK_SIZE;
    }

    /** Another answer to the same prompt, which shares the blocks until it writes to them. */
    Sequence fork(int newIndex) {
        Sequence fork = new Sequence(group, newIndex, pool, tokens.clone(), length);
        fork.cached = cached;
        fork.blocks = blocks;
        fork.identified = identified;
        fork.contents = contents;
        fork.hasRows = hasRows;
        for (int i = 0; i < blocks; i++) {
            fork.blockTable[i] = blockTable[i];
            pool.retain(blockTable[i]);
        }
        return fork;
    }

    SequenceGroup group() {
        return group;
    }

    /** Index of the answer in its request. */
    int index() {
        return index;
    }

    int length() {
        return length;
    }

    int promptLength() {
        return group.spec().prompt().length;
    }

    /** Tokens that are not in the cache yet; at least the last one, whose row gives the next token. */
    int uncached() {
        return length - cached;
    }

    /** Tokens that are in the cache. */
    int cached() {
        return cached;
    }

    boolean hasRows() {
        return hasRows;
    }

    /** How many of the next uncached rows read a token of the prompt. */
    int promptRows(int rows) {
        return Math.min(rows, Math.max(0, promptLength() - cached));
    }

    /** All tokens; the first {@link #length} count. */
    int[] tokens() {
        return tokens;
    }

    /** Adds a token; the draft of it, if there is one, stands behind the others until then. */
    void append(int token) {
        drafts = isDraft(token) ? drafts - 1 : 0;
        resting = false;
        tokens[length++] = token;
        matchLength = drafts > 0 ? matchLength + 1 : 0;
    }

    /** What may follow a beam is known: there is nothing to run of it until it has its next token. */
    void rest() {
        resting = true;
    }

    boolean isResting() {
        return resting;
    }

    /** Drafts the next tokens: those that are given, or else by what followed the last ones before. */
    void draft() {
        RequestSpec spec = group.spec();
        if (spec.isScoring()) {
            int[] given = spec.given().get(index);
            int known = length - promptLength();
            drafts = given.length - known - 1;
            System.arraycopy(given, known, tokens, length, drafts);
            return;
        }
        PromptLookup.Match match = PromptLookup.find(tokens, length);
        matchLength = match.length();
        // The token after the drafted ones has to be drawn too.
        drafts = matchLength == 0 ? 0 : Math.max(0, Math.min(PromptLookup.MAX_DRAFTS, tokens.length - length - 1));
        for (int i = 0; i < drafts; i++) {
            tokens[length + i] = tokens[match.start() + i];
        }
    }

    /** How many of the next tokens are drafted. */
    int drafts() {
        return drafts;
    }

    /** Whether a token is the one that was drafted. */
    boolean isDraft(int token) {
        return drafts > 0 && tokens[length] == token;
    }

    /** How many tokens before the next one have stood before, as far as the draft of it is due to them. */
    int matchLength() {
        return matchLength;
    }

    /**
     * Takes cached blocks that hold the next tokens, all but the last at most, unless the last block held is not full.
     *
     * @return tokens that are cached by that
     */
    int takeKnownBlocks() {
        int before = cached;
        int most = (length - 1) / DecoderSession.BLOCK_SIZE;
        while (cached == blocks * DecoderSession.BLOCK_SIZE && blocks < most) {
            int block = pool.find(contentsOf(blocks));
            if (block < 0) {
                break;
            }
            pool.retain(block);
            blockTable[blocks++] = block;
            contents = pool.identity(block);
            identified = blocks;
            cached += DecoderSession.BLOCK_SIZE;
        }
        return cached - before;
    }

    /**
     * Whether another sequence has yet to read the tokens of the next block too, so that {@link #takeKnownBlocks} will
     * find it.
     */
    boolean follows(Sequence other) {
        int end = (blocks + 1) * DecoderSession.BLOCK_SIZE;
        return cached == blocks * DecoderSession.BLOCK_SIZE
                && end < length
                && end <= other.length
                && other.cached < end
                && other.group.salt().equals(group.salt())
                && Arrays.equals(tokens, 0, end, other.tokens, 0, end);
    }

    private BlockPool.Contents contentsOf(int block) {
        int begin = block * DecoderSession.BLOCK_SIZE;
        return new BlockPool.Contents(
                contents, group.salt(), Arrays.copyOfRange(tokens, begin, begin + DecoderSession.BLOCK_SIZE));
    }

    /** How many more blocks rows need: new ones, and a copy of the last where others hold it too. */
    int blocksNeededFor(int rows) {
        int first = cached / DecoderSession.BLOCK_SIZE;
        boolean copies = first < blocks && pool.isShared(blockTable[first]);
        return blocksFor(cached + rows) - blocks + (copies ? 1 : 0);
    }

    /** Most rows that can be cached with no more than so many new blocks. */
    int rowsWithin(int newBlocks) {
        int first = cached / DecoderSession.BLOCK_SIZE;
        boolean copies = first < blocks && pool.isShared(blockTable[first]);
        if (copies && newBlocks == 0) {
            return 0;
        }
        return (blocks + newBlocks - (copies ? 1 : 0)) * DecoderSession.BLOCK_SIZE - cached;
    }

    /** Takes the blocks for some rows; copies that have to be made before are added to the plan. */
    void reserve(int rows, StepPlan plan) {
        int first = cached / DecoderSession.BLOCK_SIZE;
        if (first < blocks && pool.isShared(blockTable[first])) {
            int copy = pool.allocate();
            plan.addCopy(blockTable[first], copy);
            pool.release(blockTable[first]);
            blockTable[first] = copy;
        }
        while (blocks < blocksFor(cached + rows)) {
            blockTable[blocks++] = pool.allocate();
        }
    }

    /**
     * Adds the next uncached tokens to a batch, and drafts after them; the logits are wanted that follow the sequence's
     * last token and each draft.
     */
    void addRows(Batch batch, int rows) {
        hasRows = true;
        batch.beginSequence(cached, blockTable, blocks);
        for (int i = cached; i < cached + rows; i++) {
            batch.addRow(tokens[i], i >= length - 1);
        }
    }

    /** Counts rows as cached that a step has written. */
    void markCached(int rows) {
        cached += rows;
        for (; identified < cached / DecoderSession.BLOCK_SIZE; identified++) {
            contents = pool.identify(blockTable[identified], contentsOf(identified));
        }
    }

    /** Gives all blocks back; nothing is cached then. The last blocks first: they are of use to fewer others. */
    void release() {
        while (blocks > 0) {
            pool.release(blockTable[--blocks]);
        }
        cached = 0;
        identified = 0;
        contents = BlockPool.NOTHING;
        hasRows = false;
    }

    /** The block at an index of the block table, for tests. */
    int block(int at) {
        return blockTable[at];
    }

    /** Blocks held. */
    int blocks() {
        return blocks;
    }
}
