package org.dolly4j.check;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;

/** Runs one sequence at a time, from position 0, on a session of its own. */
public final class SequenceDecoder {
    private static final int MAX_ROWS = 1024;

    private final DecoderModel model;
    private final int blocks;

    /** @param model stays the caller's to close */
    public SequenceDecoder(DecoderModel model) {
        this.model = model;
        this.blocks = -Math.floorDiv(-model.spec().contextLength(), DecoderSession.BLOCK_SIZE);
    }

    /** Length of a row of logits. */
    public int vocabSize() {
        return model.spec().vocabSize();
    }

    /**
     * Logits that follow the last {@code wanted} tokens of a prompt, run as a whole.
     *
     * @param prompt at least one token, at most 1,024, and no more than the context holds
     * @return float32, row-major [{@code wanted}, {@link #vocabSize()}]
     * @throws IllegalArgumentException if the prompt is not so
     */
    public float[] logits(int[] prompt, int wanted) {
        try (DecoderSession session = newSession(wanted)) {
            return toArray(session.step(batch(0, prompt, wanted)));
        }
    }

    /** Logits each of the tokens was chosen from when they were decoded one by one after the prompt. */
    float[] cachedLogits(int[] prompt, int[] tokens) {
        float[] all = new float[tokens.length * vocabSize()];
        try (DecoderSession session = newSession(1)) {
            FloatBuffer logits = session.step(batch(0, prompt, 1));
            for (int i = 0; i < tokens.length; i++) {
                logits.get(all, i * vocabSize(), vocabSize());
                if (i + 1 < tokens.length) {
                    logits = session.step(batch(prompt.length + i, new int[] {tokens[i]}, 1));
                }
            }
        }
        return all;
    }

    /**
     * The {@code count} most likely tokens, one after the other, after a prompt; end tokens do not end it.
     *
     * @param prompt at least one token, at most 1,024; with the answer no more than the context holds
     * @throws IllegalArgumentException if the prompt is not so
     */
    public int[] greedy(int[] prompt, int count) {
        int[] tokens = new int[count];
        try (DecoderSession session = newSession(1)) {
            int[] next = prompt;
            int cached = 0;
            for (int i = 0; i < count; i++) {
                FloatBuffer logits = session.step(batch(cached, next, 1));
                cached += next.length;
                tokens[i] = argmax(logits);
                next = new int[] {tokens[i]};
            }
        }
        return tokens;
    }

    float[][] hidden(int[] prompt) {
        int states = model.spec().layers() + 2;
        int size = prompt.length * model.spec().hiddenSize();
        FloatBuffer buffer = ByteBuffer.allocateDirect(states * size * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        try (DecoderSession session = newSession(1)) {
            session.step(batch(0, prompt, 1), buffer);
        }
        float[][] hidden = new float[states][size];
        for (float[] state : hidden) {
            buffer.get(state);
        }
        return hidden;
    }

    private DecoderSession newSession(int maxLogitsRows) {
        return model.newSession(blocks, MAX_ROWS, maxLogitsRows);
    }

    private Batch batch(int cached, int[] tokens, int wanted) {
        int[] table = new int[blocks];
        Arrays.setAll(table, i -> i);
        Batch batch = new Batch(tokens.length, 1, blocks);
        batch.beginSequence(cached, table, blocks);
        for (int i = 0; i < tokens.length; i++) {
            batch.addRow(tokens[i], i >= tokens.length - wanted);
        }
        return batch;
    }

    private static float[] toArray(FloatBuffer buffer) {
        float[] values = new float[buffer.remaining()];
        buffer.get(values);
        return values;
    }

    private static int argmax(FloatBuffer logits) {
        int best = 0;
        for (int i = 1; i < logits.remaining(); i++) {
            if (logits.get(i) > logits.get(best)) {
                best = i;
            }
        }
        return best;
    }
}
