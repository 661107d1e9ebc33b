package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GptJTest {
    private static final Path GOLDEN =
            Path.of("src/test/resources/goldens/models/checkpoints").resolve("gptj-bf16-hd80-long");

    /** The layout of EleutherAI/gpt-j-6b's config.json. */
    private static final String GPT_J_6B =
            """
            {
              "activation_function": "gelu_new",
              "architectures": ["GPTJForCausalLM"],
              "eos_token_id": 50256,
              "layer_norm_epsilon": 1e-05,
              "model_type": "gptj",
              "n_embd": 4096,
              "n_head": 16,
              "n_inner": null,
              "n_layer": 28,
              "n_positions": 2048,
              "rotary": true,
              "rotary_dim": 64,
              "scale_attn_weights": true,
              "tie_word_embeddings": false,
              "vocab_size": 50400
            }
            """;

    @TempDir
    private Path folder;

    private DecoderSpec spec(String line, String replacement) throws IOException {
        assertThat(GPT_J_6B).contains(line);
        Path file = Files.writeString(folder.resolve("config.json"), GPT_J_6B.replace(line, replacement));
        return GptJConfig.spec(ConfigValues.read(file), false);
    }

    private static Checkpoint changed(Consumer<Map<String, TensorLocation>> change) {
        Checkpoint golden = Checkpoint.open(GOLDEN);
        Map<String, TensorLocation> tensors = new LinkedHashMap<>(golden.tensors());
        change.accept(tensors);
        return new Checkpoint(golden.folder(), golden.format(), golden.config(), golden.generationConfig(), tensors);
    }

    @Test
    void gptJ6b_isReadWhole() throws IOException {
        DecoderSpec spec = spec("28", "28");
        assertThat(spec).isEqualTo(PublishedSpecs.GPT_J_6B);
    }

    @Test
    void valuesLeftOut_areHuggingFacesDefaults() throws IOException {
        assertThat(spec("\"rotary_dim\": 64,", "").rotaryDims()).isEqualTo(64);
        assertThat(spec("\"n_inner\": null,", "").ffnSize()).isEqualTo(16384);
        assertThat(spec("\"n_inner\": null,", "\"n_inner\": 100,").ffnSize()).isEqualTo(100);
        assertThat(spec("\"n_positions\": 2048,", "").contextLength()).isEqualTo(2048);
        assertThat(spec("\"activation_function\": \"gelu_new\",", "").activation())
                .isEqualTo(Activation.GELU_TANH);
        assertThat(spec("\"layer_norm_epsilon\": 1e-05,", "").normEpsilon()).isEqualTo(1e-5);
    }

    @Test
    void valuesThatNoModelHas_areRefusedByKey() {
        assertThatThrownBy(() -> spec("\"n_layer\": 28,", ""))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("config.json: n_layer is missing");
        assertThatThrownBy(() -> spec("\"n_head\": 16", "\"n_head\": 15"))
                .hasMessageContaining("n_embd must be a multiple of n_head: 4096 is none of 15");
        assertThatThrownBy(() -> spec("\"rotary_dim\": 64", "\"rotary_dim\": 258"))
                .hasMessageContaining(
                        "rotary_dim = 258 must be an even number of at most the 256 dimensions of a head");
        assertThatThrownBy(() -> spec("\"rotary_dim\": 64", "\"rotary_dim\": 63"))
                .hasMessageContaining("rotary_dim = 63");
        assertThatThrownBy(() -> spec("\"rotary_dim\": 64", "\"rotary_dim\": null"))
                .hasMessageContaining("rotary_dim is null");
        assertThatThrownBy(() -> spec("gelu_new", "silu")).hasMessageContaining("activation_function is 'silu'");
        assertThatThrownBy(() -> spec("\"rotary\": true", "\"quantization_config\": {}"))
                .hasMessageContaining("quantization_config");
    }

    @Test
    void queriesAndKeys_haveTheRotatedPairsHalfARotationApart_valuesStay() {
        Checkpoint checkpoint = Checkpoint.open(GOLDEN);
        WeightPlan plan = Family.planFor(checkpoint);
        DecoderSpec spec = plan.spec();
        int half = spec.rotaryDims() / 2;
        assertThat(spec.rotaryDims()).isBetween(2, spec.headSize() - 1);
        Map<Integer, String> filled = new HashMap<>();
        for (SlotRows rows : plan.rows()) {
            if (rows.slot() == WeightSlot.QKV_WEIGHT && rows.layer() == 1) {
                for (SlotRows.Run run : rows.runs()) {
                    for (int i = 0; i < run.count(); i++) {
                        String from = rows.source().name() + " " + (run.sourceRow() + i * run.sourceStep());
                        assertThat(filled.put(run.slotRow() + i, from)).isNull();
                    }
                }
            }
        }
        assertThat(filled).hasSize(3 * spec.hiddenSize());
        List<String> parts = List.of("q_proj", "k_proj", "v_proj");
        for (int row = 0; row < 3 * spec.hiddenSize(); row++) {
            int part = row / spec.hiddenSize();
            int dim = row % spec.headSize();
            int source = row % spec.hiddenSize();
            if (part < 2 && dim < spec.rotaryDims()) {
                source += (dim < half ? 2 * dim : 2 * (dim - half) + 1) - dim;
            }
            assertThat(filled).containsEntry(row, "transformer.h.1.attn." + parts.get(part) + ".weight " + source);
        }
    }

    @Test
    void namesWithoutPrefix_giveTheSamePlan() {
        Checkpoint renamed = changed(tensors -> {
            Map<String, TensorLocation> copy = new LinkedHashMap<>(tensors);
            tensors.clear();
            copy.forEach((name, tensor) -> tensors.put(name.replace("transformer.", ""), tensor));
        });
        assertThat(Family.planFor(renamed)).isEqualTo(Family.planFor(Checkpoint.open(GOLDEN)));
    }

    @Test
    void oldBuffers_areNoUnknownTensors() {
        Checkpoint checkpoint = changed(tensors -> {
            for (String buffer : List.of("bias", "masked_bias", "embed_positions")) {
                String name = "transformer.h.0.attn." + buffer;
                tensors.put(name, new TensorLocation(name, GOLDEN, 0, 1, DType.BOOL, List.of(), List.of()));
            }
        });
        assertThat(Family.planFor(checkpoint).unknownTensors()).isEmpty();
    }

    @Test
    void missingTensors_areNamed() {
        Checkpoint checkpoint = changed(tensors -> {
            tensors.remove("transformer.h.1.attn.k_proj.weight");
            tensors.remove("lm_head.bias");
        });
        assertThatThrownBy(() -> Family.planFor(checkpoint))
                .hasMessageContaining("lacks the tensors h.1.attn.k_proj.weight, lm_head.bias");
    }

    @Test
    void queriesOfAnotherShape_areRefused() {
        Checkpoint checkpoint = changed(tensors -> tensors.computeIfPresent(
                "transformer.h.0.attn.q_proj.weight",
                (name, t) -> new TensorLocation(
                        name, t.path(), t.offset(), t.length(), t.dtype(), List.of(80L, 320L), List.of(320L, 1L))));
        assertThatThrownBy(() -> Family.planFor(checkpoint))
                .hasMessageContaining("[80, 320], but config.json implies [160, 160]");
    }
}
