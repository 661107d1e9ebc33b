package org.dolly4j.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Optional;
import java.util.function.IntToDoubleFunction;
import org.dolly4j.runtime.Batch;
import org.dolly4j.runtime.DecoderSession;

/**
 * A session whose logits say a given text goes on, whatever a model finds: for one sequence at a time, drawn greedily.
 * Its steps take the time of a model's, or one that is said.
 */
final class TeacherSession implements DecoderSession {
    /** Time that a step of relative cost 1 takes if there is no model: long beside what the engine itself takes. */
    private static final double NANOS_PER_COST = 2e6;

    private final Optional<DecoderSession> model;
    private final IntToDoubleFunction costs;
    private final int vocabSize;
    private final int maxRows;
    private final FloatBuffer logits;
    private int[] text = {};
    private int promptLength;
    private long answerSteps;
    private double answerCost;

    private TeacherSession(Optional<DecoderSession> model, IntToDoubleFunction costs, int vocabSize, int maxRows) {
        this.model = model;
        this.costs = costs;
        this.vocabSize = vocabSize;
        this.maxRows = maxRows;
        logits = ByteBuffer.allocateDirect(maxRows * vocabSize * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    /** Steps take as long as those of a model, which is closed with this. */
    static TeacherSession timedBy(DecoderSession model) {
        return new TeacherSession(Optional.of(model), rows -> Double.NaN, model.vocabSize(), model.maxLogitsRows());
    }

    /** Steps take what they cost by their rows, in units of a step of one row. */
    static TeacherSession timedBy(IntToDoubleFunction costs, int vocabSize) {
        return new TeacherSession(Optional.empty(), costs, vocabSize, 64);
    }

    /** What the next sequence is: a prompt and the answer to it. */
    void teach(int[] promptAndAnswer, int lengthOfPrompt) {
        text = promptAndAnswer.clone();
        promptLength = lengthOfPrompt;
    }

    /** Steps after those that read the prompt. */
    long answerSteps() {
        return answerSteps;
    }

    /** Time that these took: in seconds of a model, otherwise in steps of one row. */
    double answerCost() {
        return answerCost;
    }

    @Override
    public int blockCount() {
        return model.map(DecoderSession::blockCount).orElse(256);
    }

    @Override
    public int maxRows() {
        return maxRows;
    }

    @Override
    public int maxLogitsRows() {
        return maxRows;
    }

    @Override
    public int vocabSize() {
        return vocabSize;
    }

    @Override
    public FloatBuffer step(Batch batch) {
        boolean isAnswer = batch.position(0) >= promptLength;
        double cost = costs.applyAsDouble(batch.rows());
        long begin = System.nanoTime();
        if (model.isPresent()) {
            model.get().step(batch);
            cost = (System.nanoTime() - begin) / 1e9;
        } else {
            while (System.nanoTime() - begin < cost * NANOS_PER_COST) {
                Thread.onSpinWait();
            }
        }
        if (isAnswer) {
            answerSteps++;
            answerCost += cost;
        }
        for (int i = 0; i < batch.logitsCount(); i++) {
            int next = text[batch.position(batch.logitsRow(i)) + 1];
            for (int id = 0; id < vocabSize; id++) {
                logits.put(i * vocabSize + id, id == next ? 1 : 0);
            }
        }
        return logits.duplicate().position(0).limit(batch.logitsCount() * vocabSize);
    }

    @Override
    public FloatBuffer step(Batch batch, FloatBuffer hidden) {
        throw new UnsupportedOperationException("a text has no residual stream");
    }

    @Override
    public void copyBlock(int source, int target) {
        model.ifPresent(session -> session.copyBlock(source, target));
    }

    @Override
    public void abort() {
        model.ifPresent(DecoderSession::abort);
    }

    @Override
    public void close() {
        model.ifPresent(DecoderSession::close);
    }
}
