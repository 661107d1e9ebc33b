package org.dolly4j.engine;

import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;

/**
 * Carries out one request, a step at a time: the prompt in chunks, then one token of every running sequence per step.
 * The sequences share the prompt's blocks; those that find no room yet start when others have ended. A sequence starts
 * only if all blocks that it may come to need are there, so none runs dry.
 */
final class RequestRun {
    private final Request request;
    private final RequestSpec spec;
    private final DecoderSession session;
    private final BlockPool pool;
    private final Batch batch;
    private final Sequence prompt;
    private final List<Running> running = new ArrayList<>();
    private FloatBuffer promptLogits = FloatBuffer.allocate(0);
    private boolean promptLogitsKept;
    private int startedSequences;

    private record Running(int index, Sequence sequence) {}

    RequestRun(Request request, DecoderSession session, BlockPool pool, Batch batch) {
        this.request = request;
        this.spec = request.spec();
        this.session = session;
        this.pool = pool;
        this.batch = batch;
        prompt = Sequence.ofPrompt(spec.prompt(), session, pool);
    }

    /** KV blocks without which a request can never run: those of one sequence, beside a prompt that is still needed. */
    static int leastBlocks(RequestSpec spec) {
        boolean promptStays = spec.sequences() > 1;
        return sharedBlocks(spec) + ownBlocks(spec) + (promptStays ? unsharedPromptBlocks(spec) : 0);
    }

    /** Blocks that the prompt fills, which no sequence writes to. */
    private static int sharedBlocks(RequestSpec spec) {
        return spec.prompt().length / DecoderSession.BLOCK_SIZE;
    }

    /** 1 if the prompt's last block has room for more tokens, so that sequences take copies of it. */
    private static int unsharedPromptBlocks(RequestSpec spec) {
        return Sequence.blocksFor(spec.prompt().length) - sharedBlocks(spec);
    }

    /** Most blocks that a sequence has for itself. Its last token is drawn, but never cached. */
    private static int ownBlocks(RequestSpec spec) {
        return Sequence.blocksFor(spec.prompt().length + spec.maxNewTokens() - 1) - sharedBlocks(spec);
    }

    /** Runs the next step; returns whether there are more to come. */
    boolean step() {
        batch.clear();
        if (prompt.cached() < prompt.length()) {
            prefill();
        } else {
            decode();
        }
        startWhatFits();
        return !running.isEmpty() || startedSequences < spec.sequences();
    }

    private void prefill() {
        int rows = Math.min(session.maxRows(), prompt.length() - prompt.cached());
        boolean last = prompt.cached() + rows == prompt.length();
        prompt.addRows(batch, rows, last);
        FloatBuffer logits = session.step(batch);
        if (last) {
            promptLogits = logits;
        }
    }

    private void decode() {
        for (Running one : running) {
            one.sequence.addRows(batch, 1, true);
        }
        FloatBuffer logits = session.step(batch);
        int row = 0;
        for (Iterator<Running> all = running.iterator(); all.hasNext(); row++) {
            Running one = all.next();
            if (drawToken(one, logits, row)) {
                all.remove();
            }
        }
    }

    private void startWhatFits() {
        if (prompt.cached() < prompt.length() || startedSequences == spec.sequences()) {
            return;
        }
        while (startedSequences < spec.sequences() && hasRoomForAnother()) {
            Running one = new Running(startedSequences++, prompt.fork(spec.maxNewTokens()));
            running.add(one);
            if (drawToken(one, promptLogits, 0)) {
                running.remove(one);
            }
        }
        if (startedSequences == spec.sequences()) {
            prompt.release();
        } else if (!promptLogitsKept) {
            promptLogits = copyOfFirstRow(promptLogits);
            promptLogitsKept = true;
        }
    }

    private boolean hasRoomForAnother() {
        boolean promptStays = startedSequences + 1 < spec.sequences();
        int blocks = sharedBlocks(spec)
                + (running.size() + 1) * ownBlocks(spec)
                + (promptStays ? unsharedPromptBlocks(spec) : 0);
        return blocks <= pool.size() && running.size() < Math.min(session.maxRows(), session.maxLogitsRows());
    }

    /** A step's logits are overwritten by the next step. */
    private FloatBuffer copyOfFirstRow(FloatBuffer logits) {
        return FloatBuffer.allocate(session.vocabSize()).put(0, logits, 0, session.vocabSize());
    }

    /** Draws a sequence's next token; returns whether that ended it. */
    private boolean drawToken(Running one, FloatBuffer logits, int row) {
        Sequence sequence = one.sequence;
        int promptLength = spec.prompt().length;
        int token = request.sampler()
                .sample(
                        logits.position(row * session.vocabSize()),
                        sequence.tokens(),
                        sequence.length(),
                        promptLength,
                        spec.seedOf(one.index));
        sequence.append(token);
        request.emitToken(one.index, token);
        if (contains(spec.endIds(), token)) {
            end(one, Finish.END_TOKEN);
        } else if (contains(spec.stopIds(), token)) {
            end(one, Finish.STOP_TOKEN);
        } else if (spec.stopCondition().stopsAfter(one.index, token)) {
            end(one, Finish.STOP_CONDITION);
        } else if (sequence.length() - promptLength == spec.maxNewTokens()) {
            end(one, Finish.LENGTH);
        } else {
            return false;
        }
        return true;
    }

    private void end(Running one, Finish finish) {
        one.sequence.release();
        request.emitEnd(one.index, finish);
    }

    /** Ends the sequences that have not ended, and those that have not started, as cancelled. */
    void cancel() {
        for (Running one : running) {
            end(one, Finish.CANCELLED);
        }
        running.clear();
        for (; startedSequences < spec.sequences(); startedSequences++) {
            request.emitEnd(startedSequences, Finish.CANCELLED);
        }
    }

    /** Gives all blocks back, however the run ended. */
    void release() {
        prompt.release();
        running.forEach(one -> one.sequence.release());
        running.clear();
    }

    private static boolean contains(int[] ids, int id) {
        for (int one : ids) {
            if (one == id) {
                return true;
            }
        }
        return false;
    }
}
