package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import org.dolly4j.bench.RandomCheckpoint.Format;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SequenceBatchTest {
    private static final int CONTEXT = 40;

    @TempDir
    private Path folder;

    @Test
    void filledSequences_eachHaveThePromptOfTheFirst() throws IOException {
        RandomCheckpoint.write(folder, ModelShape.TINY, Format.SAFETENSORS, DType.BFLOAT16, 0.2, 0, 2);
        WeightPlan plan = Family.planFor(Checkpoint.open(folder));
        ModelOptions options = new ModelOptions(WeightType.FLOAT32, Backend.KERNELS, "cpu", 1, false);
        int[] prompt = Arrays.copyOf(SequenceBatch.prompt(0, CONTEXT), CONTEXT + 1);
        prompt[CONTEXT] = 7;
        try (DecoderModel model = DecoderModel.load(plan.spec(), plan.rows(), options);
                SequenceBatch three = new SequenceBatch(model, 3, CONTEXT + 2);
                SequenceBatch one = new SequenceBatch(model, 1, CONTEXT + 1)) {
            three.fill(CONTEXT);
            // Written into each one's own cache: the next step reads it.
            three.decode(CONTEXT, new int[] {8, 7, 9});
            FloatBuffer logits = three.decode(CONTEXT + 1, new int[] {5, 5, 5});
            FloatBuffer second =
                    logits.slice(plan.spec().vocabSize(), plan.spec().vocabSize());
            assertThat(second).isNotEqualTo(logits.slice(0, plan.spec().vocabSize()));
            FloatBuffer afterPrompt = three.decode(CONTEXT, new int[] {7, 7, 7});
            FloatBuffer expected = one.prefill(0, prompt);
            for (int sequence = 0; sequence < 3; sequence++) {
                assertThat(afterPrompt.slice(
                                sequence * plan.spec().vocabSize(), plan.spec().vocabSize()))
                        .as("sequence %d", sequence)
                        .isEqualTo(expected);
            }
        }
    }
}
