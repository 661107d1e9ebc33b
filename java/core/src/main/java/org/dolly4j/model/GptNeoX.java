package org.dolly4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.dolly4j.checkpoint.ConfigValues;

/**
 * GPT-NeoX (Black et al. 2022), as Hugging Face's {@code GPTNeoXForCausalLM} stores it: names with or without the
 * prefix {@code gpt_neox.}, the head as {@code embed_out} or {@code lm_head}, and Q, K and V fused into one tensor
 * whose rows are ordered [head, 3, head size].
 */
final class GptNeoX extends NamedTensors {
    static final String MODEL_TYPE = "gpt_neox";

    private static final String EMBEDDING = "embed_in.weight";

    private static final String HEAD = "embed_out.weight";

    /** The head's name inside newer versions of Hugging Face's class. */
    private static final String NEWER_HEAD = "lm_head.weight";

    /** Masks and rotary frequencies that older versions stored beside the weights. */
    private static final Pattern BUFFER =
            Pattern.compile("layers\\.\\d+\\.attention\\.(bias|masked_bias|rotary_emb\\.inv_freq)");

    GptNeoX() {
        super("GPT-NeoX", "gpt_neox.", EMBEDDING, HEAD, BUFFER);
    }

    @Override
    DecoderSpec spec(ConfigValues config, boolean tiedHead) {
        return GptNeoXConfig.spec(config, tiedHead);
    }

    @Override
    String currentName(String name) {
        return name.equals(NEWER_HEAD) ? HEAD : name;
    }

    @Override
    SlotSources sources(DecoderSpec spec) {
        List<SlotRows.Run> fused = fusedRuns(spec);
        return (slot, layer) -> {
            boolean isFused = slot == WeightSlot.QKV_WEIGHT || slot == WeightSlot.QKV_BIAS;
            String name = name(slot, layer);
            return List.of(isFused ? new Source(name, fused) : Source.whole(name, spec.rows(slot)));
        };
    }

    private static String name(WeightSlot slot, int layer) {
        String inLayer =
                switch (slot) {
                    case EMBEDDING -> EMBEDDING;
                    case ATTENTION_NORM_WEIGHT -> "input_layernorm.weight";
                    case ATTENTION_NORM_BIAS -> "input_layernorm.bias";
                    case FFN_NORM_WEIGHT -> "post_attention_layernorm.weight";
                    case FFN_NORM_BIAS -> "post_attention_layernorm.bias";
                    case QKV_WEIGHT -> "attention.query_key_value.weight";
                    case QKV_BIAS -> "attention.query_key_value.bias";
                    case DENSE_WEIGHT -> "attention.dense.weight";
                    case DENSE_BIAS -> "attention.dense.bias";
                    case FC1_WEIGHT -> "mlp.dense_h_to_4h.weight";
                    case FC1_BIAS -> "mlp.dense_h_to_4h.bias";
                    case FC2_WEIGHT -> "mlp.dense_4h_to_h.weight";
                    case FC2_BIAS -> "mlp.dense_4h_to_h.bias";
                    case FINAL_NORM_WEIGHT -> "final_layer_norm.weight";
                    case FINAL_NORM_BIAS -> "final_layer_norm.bias";
                    case HEAD_WEIGHT -> HEAD;
                    case HEAD_BIAS -> throw new IllegalArgumentException("GPT-NeoX has no bias at its head.");
                };
        return slot.isPerLayer() ? "layers." + layer + "." + inLayer : inLayer;
    }

    private static List<SlotRows.Run> fusedRuns(DecoderSpec spec) {
        List<SlotRows.Run> runs = new ArrayList<>();
        for (int head = 0; head < spec.heads(); head++) {
            for (int part = 0; part < 3; part++) {
                int sourceRow = (head * 3 + part) * spec.headSize();
                int slotRow = part * spec.hiddenSize() + head * spec.headSize();
                runs.add(new SlotRows.Run(sourceRow, slotRow, spec.headSize()));
            }
        }
        return List.copyOf(runs);
    }
}
