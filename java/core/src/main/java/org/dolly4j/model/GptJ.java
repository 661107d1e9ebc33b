package org.dolly4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.dolly4j.checkpoint.ConfigValues;

/**
 * GPT-J (Wang and Komatsuzaki 2021), as Hugging Face's {@code GPTJForCausalLM} stores it: names with or without the
 * prefix {@code transformer.}, and Q, K and V in tensors of their own without biases. It rotates neighbouring
 * dimensions together ("rotate every two"), where the decoder rotates dimension i with i + rotary / 2: so that the rows
 * of Q and K are put in that order. Products of queries with keys stay the same.
 */
final class GptJ extends NamedTensors {
    static final String MODEL_TYPE = "gptj";

    private static final String EMBEDDING = "wte.weight";

    private static final String HEAD = "lm_head.weight";

    private static final List<String> QKV = List.of("q_proj", "k_proj", "v_proj");

    /** Masks and rotary angles that older versions stored beside the weights. */
    private static final Pattern BUFFER = Pattern.compile("h\\.\\d+\\.attn\\.(bias|masked_bias|embed_positions)");

    GptJ() {
        super("GPT-J", "transformer.", EMBEDDING, HEAD, BUFFER);
    }

    @Override
    DecoderSpec spec(ConfigValues config, boolean tiedHead) {
        return GptJConfig.spec(config, tiedHead);
    }

    @Override
    SlotSources sources(DecoderSpec spec) {
        List<List<SlotRows.Run>> runs = List.of(
                rotatedRuns(spec, 0),
                rotatedRuns(spec, spec.hiddenSize()),
                List.of(new SlotRows.Run(0, 2 * spec.hiddenSize(), spec.hiddenSize())));
        return (slot, layer) -> {
            String name = name(slot, layer);
            if (slot != WeightSlot.QKV_WEIGHT) {
                return List.of(Source.whole(name, spec.rows(slot)));
            }
            List<Source> sources = new ArrayList<>();
            for (int part = 0; part < QKV.size(); part++) {
                sources.add(new Source(name + QKV.get(part) + ".weight", runs.get(part)));
            }
            return sources;
        };
    }

    /** Name of a slot's tensor, without prefix; for queries, keys and values the beginning of their names. */
    private static String name(WeightSlot slot, int layer) {
        String inLayer =
                switch (slot) {
                    case EMBEDDING -> EMBEDDING;
                    case ATTENTION_NORM_WEIGHT -> "ln_1.weight";
                    case ATTENTION_NORM_BIAS -> "ln_1.bias";
                    case QKV_WEIGHT -> "attn.";
                    case DENSE_WEIGHT -> "attn.out_proj.weight";
                    case FC1_WEIGHT -> "mlp.fc_in.weight";
                    case FC1_BIAS -> "mlp.fc_in.bias";
                    case FC2_WEIGHT -> "mlp.fc_out.weight";
                    case FC2_BIAS -> "mlp.fc_out.bias";
                    case FINAL_NORM_WEIGHT -> "ln_f.weight";
                    case FINAL_NORM_BIAS -> "ln_f.bias";
                    case HEAD_WEIGHT -> HEAD;
                    case HEAD_BIAS -> "lm_head.bias";
                    case FFN_NORM_WEIGHT, FFN_NORM_BIAS, QKV_BIAS, DENSE_BIAS ->
                        throw new IllegalArgumentException("GPT-J has no " + slot + ".");
                };
        return slot.isPerLayer() ? "h." + layer + "." + inLayer : inLayer;
    }

    /** Of each head the even rotated dimensions, then the odd ones, then those that are not rotated. */
    private static List<SlotRows.Run> rotatedRuns(DecoderSpec spec, int begin) {
        int half = spec.rotaryDims() / 2;
        List<SlotRows.Run> runs = new ArrayList<>();
        for (int head = 0; head < spec.heads(); head++) {
            int source = head * spec.headSize();
            int slot = begin + source;
            runs.add(new SlotRows.Run(source, 2, slot, half));
            runs.add(new SlotRows.Run(source + 1, 2, slot + half, half));
            int rest = spec.headSize() - spec.rotaryDims();
            if (rest > 0) {
                runs.add(new SlotRows.Run(source + spec.rotaryDims(), slot + spec.rotaryDims(), rest));
            }
        }
        return List.copyOf(runs);
    }
}
