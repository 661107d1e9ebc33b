package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorBytes;
import org.dolly4j.checkpoint.TensorLocation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GptNeoXTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens/models/checkpoints");
    private static final Path SEQUENTIAL = GOLDENS.resolve("neox-sequential-fp16-legacy-buffers");
    private static final String QKV = "gpt_neox.layers.%d.attention.query_key_value.%s";

    @TempDir
    private Path folder;

    /** The golden's checkpoint with its tensors changed. */
    private static Checkpoint changed(Consumer<Map<String, TensorLocation>> change) {
        Checkpoint golden = Checkpoint.open(SEQUENTIAL);
        Map<String, TensorLocation> tensors = new LinkedHashMap<>(golden.tensors());
        change.accept(tensors);
        return new Checkpoint(golden.folder(), golden.format(), golden.config(), golden.generationConfig(), tensors);
    }

    /** The same with another config.json. */
    private Checkpoint changed(String configLine, String replacement, Consumer<Map<String, TensorLocation>> change)
            throws IOException {
        String json = Files.readString(SEQUENTIAL.resolve("config.json"));
        assertThat(json).contains(configLine);
        Path file = Files.writeString(folder.resolve("config.json"), json.replace(configLine, replacement));
        Checkpoint golden = changed(change);
        return new Checkpoint(
                folder, golden.format(), ConfigValues.read(file), golden.generationConfig(), golden.tensors());
    }

    /** What a slot holds once the rows are moved, in the file's element type. */
    private static byte[] fill(WeightPlan plan, WeightSlot slot, int layer) throws IOException {
        int rowElements = plan.spec().columns(slot);
        byte[] filled = new byte[0];
        int rowsFilled = 0;
        for (SlotRows rows : plan.rows()) {
            if (rows.slot() == slot && rows.layer() == layer) {
                int rowBytes = rowElements * rows.source().dtype().bytes();
                byte[] source = TensorBytes.dense(rows.source());
                filled = filled.length > 0 ? filled : new byte[plan.spec().rows(slot) * rowBytes];
                for (SlotRows.Run run : rows.runs()) {
                    System.arraycopy(
                            source,
                            run.sourceRow() * rowBytes,
                            filled,
                            run.slotRow() * rowBytes,
                            run.count() * rowBytes);
                    rowsFilled += run.count();
                }
            }
        }
        assertThat(rowsFilled).as("rows of %s", slot).isEqualTo(plan.spec().rows(slot));
        return filled;
    }

    /** Element (part, head, dim, column) of Q|K|V, taken out of [head, 3, head size] by its index. */
    private static byte[] splitQkv(byte[] fused, DecoderSpec spec, int rowBytes) {
        byte[] split = new byte[fused.length];
        for (int part = 0; part < 3; part++) {
            for (int head = 0; head < spec.heads(); head++) {
                for (int dim = 0; dim < spec.headSize(); dim++) {
                    for (int b = 0; b < rowBytes; b++) {
                        int to = ((part * spec.heads() + head) * spec.headSize() + dim) * rowBytes + b;
                        int from = ((head * 3 + part) * spec.headSize() + dim) * rowBytes + b;
                        split[to] = fused[from];
                    }
                }
            }
        }
        return split;
    }

    @ParameterizedTest
    @ValueSource(strings = {"neox-gelunew-bf16-hd64-rot50", "neox-sequential-fp16-legacy-buffers", "neox-v5config-odd"})
    void golden_fillsEverySlotWithItsTensor(String name) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(GOLDENS.resolve(name));
        WeightPlan plan = Family.planFor(checkpoint);
        DecoderSpec spec = plan.spec();
        long filled = 0;
        for (WeightSlot slot : WeightSlot.values()) {
            for (int layer = 0; layer < (slot.isPerLayer() ? spec.layers() : 1); layer++) {
                if (spec.has(slot)) {
                    filled += (long) spec.rows(slot) * spec.columns(slot);
                    assertThat(fill(plan, slot, layer)).as("%s %d", slot, layer).hasSizeGreaterThan(0);
                }
            }
        }
        assertThat(filled).isEqualTo(spec.parameterCount());

        int bytes = checkpoint.weightDType().bytes();
        for (int layer = 0; layer < spec.layers(); layer++) {
            TensorLocation weight = checkpoint.tensors().get(String.format(QKV, layer, "weight"));
            assertThat(fill(plan, WeightSlot.QKV_WEIGHT, layer))
                    .isEqualTo(splitQkv(TensorBytes.dense(weight), spec, spec.hiddenSize() * bytes));
            TensorLocation bias = checkpoint.tensors().get(String.format(QKV, layer, "bias"));
            assertThat(fill(plan, WeightSlot.QKV_BIAS, layer))
                    .isEqualTo(splitQkv(TensorBytes.dense(bias), spec, bytes));
            String block = "gpt_neox.layers." + layer + ".";
            assertSame(plan, WeightSlot.ATTENTION_NORM_WEIGHT, layer, checkpoint, block + "input_layernorm.weight");
            assertSame(plan, WeightSlot.ATTENTION_NORM_BIAS, layer, checkpoint, block + "input_layernorm.bias");
            assertSame(plan, WeightSlot.FFN_NORM_WEIGHT, layer, checkpoint, block + "post_attention_layernorm.weight");
            assertSame(plan, WeightSlot.FFN_NORM_BIAS, layer, checkpoint, block + "post_attention_layernorm.bias");
            assertSame(plan, WeightSlot.DENSE_WEIGHT, layer, checkpoint, block + "attention.dense.weight");
            assertSame(plan, WeightSlot.DENSE_BIAS, layer, checkpoint, block + "attention.dense.bias");
            assertSame(plan, WeightSlot.FC1_WEIGHT, layer, checkpoint, block + "mlp.dense_h_to_4h.weight");
            assertSame(plan, WeightSlot.FC1_BIAS, layer, checkpoint, block + "mlp.dense_h_to_4h.bias");
            assertSame(plan, WeightSlot.FC2_WEIGHT, layer, checkpoint, block + "mlp.dense_4h_to_h.weight");
            assertSame(plan, WeightSlot.FC2_BIAS, layer, checkpoint, block + "mlp.dense_4h_to_h.bias");
        }
        assertSame(plan, WeightSlot.EMBEDDING, 0, checkpoint, "gpt_neox.embed_in.weight");
        assertSame(plan, WeightSlot.FINAL_NORM_WEIGHT, 0, checkpoint, "gpt_neox.final_layer_norm.weight");
        assertSame(plan, WeightSlot.FINAL_NORM_BIAS, 0, checkpoint, "gpt_neox.final_layer_norm.bias");
        assertSame(plan, WeightSlot.HEAD_WEIGHT, 0, checkpoint, "embed_out.weight");
    }

    private static void assertSame(WeightPlan plan, WeightSlot slot, int layer, Checkpoint checkpoint, String tensor)
            throws IOException {
        assertThat(fill(plan, slot, layer))
                .as(tensor)
                .isEqualTo(TensorBytes.dense(checkpoint.tensors().get(tensor)));
    }

    @Test
    void namesWithoutPrefix_andTheNewerNameOfTheHead_giveTheSamePlan() {
        Checkpoint renamed = changed(tensors -> {
            Map<String, TensorLocation> copy = new LinkedHashMap<>(tensors);
            tensors.clear();
            copy.forEach((name, tensor) ->
                    tensors.put(name.replace("gpt_neox.", "").replace("embed_out", "lm_head"), tensor));
        });
        assertThat(Family.planFor(renamed)).isEqualTo(Family.planFor(Checkpoint.open(SEQUENTIAL)));
    }

    @Test
    void missingTensors_areNamed() {
        Checkpoint checkpoint = changed(tensors -> {
            tensors.remove("gpt_neox.layers.1.mlp.dense_h_to_4h.bias");
            tensors.remove("embed_out.weight");
        });
        assertThatThrownBy(() -> Family.planFor(checkpoint))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(SEQUENTIAL.toString())
                .hasMessageContaining("lacks the tensors layers.1.mlp.dense_h_to_4h.bias, embed_out.weight");
    }

    @Test
    void manyMissingTensors_areCounted() {
        Checkpoint checkpoint = changed(tensors -> tensors.keySet().removeIf(name -> name.contains("layers.1.")));
        assertThatThrownBy(() -> Family.planFor(checkpoint))
                .hasMessageContaining("layers.1.input_layernorm.weight")
                .hasMessageContaining("and 7 more");
    }

    @Test
    void oldBuffers_areNoUnknownTensors() {
        Checkpoint checkpoint = changed(tensors -> {
            for (String buffer : List.of("bias", "masked_bias", "rotary_emb.inv_freq")) {
                String name = "gpt_neox.layers.0.attention." + buffer;
                tensors.put(name, scalar(name));
            }
        });
        assertThat(Family.planFor(checkpoint)).isEqualTo(Family.planFor(Checkpoint.open(SEQUENTIAL)));
    }

    @Test
    void unknownTensors_areReportedAndNotUsed() {
        Checkpoint checkpoint = changed(tensors -> tensors.put("score.weight", scalar("score.weight")));
        WeightPlan plan = Family.planFor(checkpoint);
        assertThat(plan.unknownTensors()).containsExactly("score.weight");
        assertThat(plan.rows())
                .isEqualTo(Family.planFor(Checkpoint.open(SEQUENTIAL)).rows());
    }

    private static TensorLocation scalar(String name) {
        return new TensorLocation(name, SEQUENTIAL, 0, 1, DType.BOOL, List.of(), List.of());
    }

    @Test
    void tensorOfAnotherShape_isRefusedWithBothShapes() throws IOException {
        Checkpoint checkpoint = changed("\"vocab_size\": 320", "\"vocab_size\": 384", tensors -> {});
        assertThatThrownBy(() -> Family.planFor(checkpoint))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining(
                        "tensor 'gpt_neox.embed_in.weight' has the shape [320, 96], but config.json implies [384, 96]");
    }

    @Test
    void vectorStoredAsAMatrix_isRefused() {
        Checkpoint checkpoint = changed(tensors -> tensors.computeIfPresent(
                "gpt_neox.final_layer_norm.weight",
                (name, t) -> new TensorLocation(
                        name, t.path(), t.offset(), t.length(), t.dtype(), List.of(96L, 1L), List.of(1L, 1L))));
        assertThatThrownBy(() -> Family.planFor(checkpoint))
                .hasMessageContaining("[96, 1], but config.json implies [96]");
    }

    @Test
    void weightsThatAreNotFloatingPoint_areRefused() {
        for (DType dtype : new DType[] {DType.INT32, DType.FLOAT64}) {
            Checkpoint checkpoint = changed(tensors -> tensors.computeIfPresent(
                    "embed_out.weight",
                    (name, t) ->
                            new TensorLocation(name, t.path(), t.offset(), t.length(), dtype, t.shape(), t.strides())));
            assertThatThrownBy(() -> Family.planFor(checkpoint))
                    .hasMessageContaining("tensor 'embed_out.weight' is of " + dtype)
                    .hasMessageContaining("FLOAT32, FLOAT16, BFLOAT16");
        }
    }

    @Test
    void sameWeightsUnderTwoNames_areRefused() {
        Checkpoint checkpoint =
                changed(tensors -> tensors.put("embed_in.weight", tensors.get("gpt_neox.embed_in.weight")));
        assertThatThrownBy(() -> Family.planFor(checkpoint)).hasMessageContaining("'embed_in.weight'");
    }

    @Test
    void attentionWithoutBias_needsNone() throws IOException {
        Checkpoint checkpoint = changed("\"bos_token_id\": 0", "\"attention_bias\": false", tensors -> tensors.keySet()
                .removeIf(name -> name.endsWith("query_key_value.bias") || name.endsWith("dense.bias")));
        WeightPlan plan = Family.planFor(checkpoint);
        assertThat(plan.spec().attentionBias()).isFalse();
        assertThat(plan.rows()).extracting(SlotRows::slot).doesNotContain(WeightSlot.QKV_BIAS, WeightSlot.DENSE_BIAS);
    }

    @Test
    void tiedCheckpointWithoutHead_hasATiedHead() throws IOException {
        Checkpoint checkpoint = tied(tensors -> tensors.remove("embed_out.weight"));
        WeightPlan plan = Family.planFor(checkpoint);
        assertThat(plan.spec().tiedHead()).isTrue();
        assertThat(plan.rows()).extracting(SlotRows::slot).doesNotContain(WeightSlot.HEAD_WEIGHT);
    }

    /** As Hugging Face does: the tensor that is there serves as both. */
    @Test
    void tiedCheckpointWithoutEmbedding_usesTheHeadAsEmbedding() throws IOException {
        Checkpoint checkpoint = tied(tensors -> tensors.remove("gpt_neox.embed_in.weight"));
        WeightPlan plan = Family.planFor(checkpoint);
        assertThat(plan.spec().tiedHead()).isTrue();
        assertThat(sourceOf(plan, WeightSlot.EMBEDDING)).isEqualTo("embed_out.weight");
    }

    /** In files of torch.save a tied head is there under its own name too. */
    @Test
    void tiedCheckpointWithBothNamesOnTheSameBytes_hasATiedHead() throws IOException {
        Checkpoint checkpoint =
                tied(tensors -> tensors.put("embed_out.weight", tensors.get("gpt_neox.embed_in.weight")));
        assertThat(Family.planFor(checkpoint).spec().tiedHead()).isTrue();
    }

    /** As Hugging Face does: config.json is wrong then. */
    @Test
    void tiedCheckpointWithTwoTensors_usesBoth() throws IOException {
        WeightPlan plan = Family.planFor(tied(tensors -> {}));
        assertThat(plan.spec().tiedHead()).isFalse();
        assertThat(sourceOf(plan, WeightSlot.HEAD_WEIGHT)).isEqualTo("embed_out.weight");
    }

    @Test
    void tiedCheckpointWithNeither_lacksTheEmbedding() throws IOException {
        Checkpoint checkpoint = tied(
                tensors -> tensors.keySet().removeAll(Arrays.asList("embed_out.weight", "gpt_neox.embed_in.weight")));
        assertThatThrownBy(() -> Family.planFor(checkpoint)).hasMessageContaining("lacks the tensor embed_in.weight");
    }

    private Checkpoint tied(Consumer<Map<String, TensorLocation>> change) throws IOException {
        return changed("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true", change);
    }

    private static String sourceOf(WeightPlan plan, WeightSlot slot) {
        return plan.rows().stream()
                .filter(rows -> rows.slot() == slot)
                .map(rows -> rows.source().name())
                .findFirst()
                .orElseThrow();
    }
}
