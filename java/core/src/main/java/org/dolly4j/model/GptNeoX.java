package org.dolly4j.model;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * GPT-NeoX (Black et al. 2022), as Hugging Face's {@code GPTNeoXForCausalLM} stores it: names with or without the
 * prefix {@code gpt_neox.}, the head as {@code embed_out} or {@code lm_head}, and Q, K and V fused into one tensor
 * whose rows are ordered [head, 3, head size].
 */
final class GptNeoX implements Family {
    static final String MODEL_TYPE = "gpt_neox";

    private static final Logger LOG = LoggerFactory.getLogger(GptNeoX.class);

    private static final String PREFIX = "gpt_neox.";

    private static final String EMBEDDING = "embed_in.weight";

    private static final String HEAD = "embed_out.weight";

    /** The head's name inside newer versions of Hugging Face's class. */
    private static final String NEWER_HEAD = "lm_head.weight";

    /** Masks and rotary frequencies that older versions stored beside the weights. */
    private static final Pattern BUFFER =
            Pattern.compile("layers\\.\\d+\\.attention\\.(bias|masked_bias|rotary_emb\\.inv_freq)");

    /** Most names listed in a message. */
    private static final int NAMES_SHOWN = 5;

    private static final Set<DType> WEIGHT_DTYPES = Set.of(DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16);

    @Override
    public WeightPlan plan(Checkpoint checkpoint) {
        Map<String, TensorLocation> tensors = byPlainName(checkpoint);
        boolean tied = isTied(checkpoint, tensors);
        DecoderSpec spec = GptNeoXConfig.spec(checkpoint.config(), tied);
        if (tied) {
            TensorLocation head = tensors.remove(HEAD);
            if (head != null) {
                tensors.put(EMBEDDING, head);
            }
        }
        List<SlotRows> rows = new ArrayList<>();
        Set<String> used = new HashSet<>();
        List<String> missing = new ArrayList<>();
        for (WeightSlot slot : WeightSlot.values()) {
            for (int layer = 0; spec.has(slot) && layer < (slot.isPerLayer() ? spec.layers() : 1); layer++) {
                String name = name(slot, layer);
                TensorLocation tensor = tensors.get(name);
                if (tensor == null) {
                    missing.add(name);
                } else {
                    requireFit(spec, slot, tensor);
                    rows.add(new SlotRows(tensor, slot, layer, runs(spec, slot)));
                    used.add(name);
                }
            }
        }
        if (!missing.isEmpty()) {
            throw new CheckpointException(checkpoint.folder() + ": lacks " + list(missing)
                    + ". Its config.json and its weights are not of the same model, or it is incomplete.");
        }
        List<String> unknown = tensors.entrySet().stream()
                .filter(entry -> !used.contains(entry.getKey()))
                .map(entry -> entry.getValue().name())
                .sorted()
                .toList();
        if (!unknown.isEmpty()) {
            LOG.warn("{}: ignores {}, which GPT-NeoX does not have.", checkpoint.folder(), list(unknown));
        }
        return new WeightPlan(spec, rows, unknown);
    }

    /** Tensors under their names without prefix, the head under its older name, buffers left out. */
    private static Map<String, TensorLocation> byPlainName(Checkpoint checkpoint) {
        Map<String, TensorLocation> tensors = new HashMap<>();
        checkpoint.tensors().forEach((name, tensor) -> {
            String plain = name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : name;
            if (BUFFER.matcher(plain).matches()) {
                return;
            }
            TensorLocation other = tensors.put(plain.equals(NEWER_HEAD) ? HEAD : plain, tensor);
            if (other != null) {
                throw new CheckpointException(checkpoint.folder() + ": holds the same weights as '" + other.name()
                        + "' and as '" + name + "'. Remove one of them.");
            }
        });
        return tensors;
    }

    /**
     * Whether the head is the embedding. Files of {@code torch.save} hold a tied tensor under both names; if the two
     * differ although config.json ties them, both are used, as in Hugging Face.
     */
    private static boolean isTied(Checkpoint checkpoint, Map<String, TensorLocation> tensors) {
        boolean tie = GptNeoXConfig.tieWordEmbeddings(checkpoint.config());
        TensorLocation embedding = tensors.get(EMBEDDING);
        TensorLocation head = tensors.get(HEAD);
        if (embedding == null || head == null) {
            return tie;
        }
        boolean same = embedding.sameElementsAs(head);
        if (tie && !same) {
            LOG.warn(
                    "{}: tie_word_embeddings is true, but there are two tensors '{}' and '{}'; both are used.",
                    checkpoint.config().file(),
                    embedding.name(),
                    head.name());
        }
        return same;
    }

    /** Name of a slot's tensor, without prefix. */
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

    private static void requireFit(DecoderSpec spec, WeightSlot slot, TensorLocation tensor) {
        long rows = spec.rows(slot);
        List<Long> expected = slot.isVector() ? List.of(rows) : List.of(rows, (long) spec.columns(slot));
        if (!tensor.shape().equals(expected)) {
            throw new CheckpointException(String.format(
                    Locale.ROOT,
                    "%s: tensor '%s' has the shape %s, but config.json implies %s. They are not of the same model.",
                    tensor.path(),
                    tensor.name(),
                    tensor.shape(),
                    expected));
        }
        if (!WEIGHT_DTYPES.contains(tensor.dtype())) {
            throw new CheckpointException(String.format(
                    Locale.ROOT,
                    "%s: tensor '%s' is of %s; weights in %s are supported.",
                    tensor.path(),
                    tensor.name(),
                    tensor.dtype(),
                    WEIGHT_DTYPES.stream().sorted().toList()));
        }
    }

    private static List<SlotRows.Run> runs(DecoderSpec spec, WeightSlot slot) {
        if (slot != WeightSlot.QKV_WEIGHT && slot != WeightSlot.QKV_BIAS) {
            return List.of(new SlotRows.Run(0, 0, spec.rows(slot)));
        }
        List<SlotRows.Run> runs = new ArrayList<>();
        for (int head = 0; head < spec.heads(); head++) {
            for (int part = 0; part < 3; part++) {
                int sourceRow = (head * 3 + part) * spec.headSize();
                int slotRow = part * spec.hiddenSize() + head * spec.headSize();
                runs.add(new SlotRows.Run(sourceRow, slotRow, spec.headSize()));
            }
        }
        return runs;
    }

    private static String list(List<String> names) {
        String shown = String.join(", ", names.subList(0, Math.min(names.size(), NAMES_SHOWN)));
        int more = names.size() - NAMES_SHOWN;
        return (names.size() == 1 ? "the tensor " : "the tensors ")
                + shown
                + (more > 0 ? " and " + more + " more" : "");
    }
}
