package org.dolly4j.bench;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.dolly4j.checkpoint.DType;

/** Sizes of published GPT-NeoX models, and the tensors that Hugging Face stores for them. */
enum ModelShape {
    /** Loads in no time; the vocabulary is Dolly's. */
    TINY(2, 64, 4, 50280),
    PYTHIA_70M(6, 512, 8, 50304),
    PYTHIA_1_4B(24, 2048, 16, 50304),
    DOLLY_3B(32, 2560, 32, 50280),
    DOLLY_7B(32, 4096, 32, 50280),
    DOLLY_12B(36, 5120, 40, 50280);

    static final int CONTEXT_LENGTH = 2048;
    static final double ROTARY_SHARE = 0.25;

    /** Deviation of the weights of GPT-NeoX before training. */
    static final double DEVIATION = 0.02;

    private final int layers;
    private final int hidden;
    private final int heads;
    private final int vocabulary;

    ModelShape(int layers, int hidden, int heads, int vocabulary) {
        this.layers = layers;
        this.hidden = hidden;
        this.heads = heads;
        this.vocabulary = vocabulary;
    }

    /** The name on the command line: {@code 3b}, {@code 1.4b}, {@code tiny}. */
    String label() {
        String size = name().substring(name().indexOf('_') + 1);
        return size.replace('_', '.').toLowerCase(Locale.ROOT);
    }

    /** config.json in the layout of the published Dolly v2 models. */
    String config(DType dtype) {
        return String.format(
                Locale.ROOT,
                """
                {
                  "architectures": [
                    "GPTNeoXForCausalLM"
                  ],
                  "bos_token_id": 0,
                  "eos_token_id": 0,
                  "hidden_act": "gelu",
                  "hidden_size": %d,
                  "initializer_range": %s,
                  "intermediate_size": %d,
                  "layer_norm_eps": 1e-05,
                  "max_position_embeddings": %d,
                  "model_type": "gpt_neox",
                  "num_attention_heads": %d,
                  "num_hidden_layers": %d,
                  "rotary_emb_base": 10000,
                  "rotary_pct": %s,
                  "tie_word_embeddings": false,
                  "torch_dtype": "%s",
                  "transformers_version": "4.25.1",
                  "use_cache": true,
                  "use_parallel_residual": true,
                  "vocab_size": %d
                }
                """,
                hidden,
                DEVIATION,
                4 * hidden,
                CONTEXT_LENGTH,
                heads,
                layers,
                ROTARY_SHARE,
                dtype.name().toLowerCase(Locale.ROOT),
                vocabulary);
    }

    /**
     * The tensors of a model with these sizes.
     *
     * @param dtype {@code FLOAT32} or {@code BFLOAT16}
     * @param deviation of the weights
     * @param seed makes other weights
     * @param buffers with the causal masks and rotary frequencies that the published .bin files carry
     */
    List<TensorRule> tensors(DType dtype, double deviation, long seed, boolean buffers) {
        List<TensorRule> tensors = new ArrayList<>();
        Gaussian.Table weights = Gaussian.Table.of(dtype, 0, deviation);
        Gaussian.Table scales = Gaussian.Table.of(dtype, 1, DEVIATION);
        // The two matrices that add to the residual stream start smaller, so that it keeps its size over the layers.
        Gaussian.Table outputs = Gaussian.Table.of(dtype, 0, deviation / Math.sqrt(2.0 * layers));
        int headSize = hidden / heads;
        int rotaryDims = (int) (headSize * ROTARY_SHARE);
        Maker maker = new Maker(tensors, dtype, seed, weights, scales);
        maker.matrix("gpt_neox.embed_in.weight", vocabulary, hidden, weights);
        for (int layer = 0; layer < layers; layer++) {
            String block = "gpt_neox.layers." + layer + ".";
            maker.norm(block + "input_layernorm", hidden);
            maker.norm(block + "post_attention_layernorm", hidden);
            if (buffers) {
                maker.buffers(block + "attention.", rotaryDims);
            }
            maker.linear(block + "attention.query_key_value", 3L * hidden, hidden, weights);
            maker.linear(block + "attention.dense", hidden, hidden, outputs);
            maker.linear(block + "mlp.dense_h_to_4h", 4L * hidden, hidden, weights);
            maker.linear(block + "mlp.dense_4h_to_h", hidden, 4L * hidden, outputs);
        }
        maker.norm("gpt_neox.final_layer_norm", hidden);
        maker.matrix("embed_out.weight", vocabulary, hidden, weights);
        return tensors;
    }

    /** Appends tensors, each with a seed that its name changes, so that all formats hold the same weights. */
    private record Maker(
            List<TensorRule> tensors, DType dtype, long seed, Gaussian.Table weights, Gaussian.Table scales) {
        void matrix(String name, long rows, long columns, Gaussian.Table values) {
            add(name, List.of(rows, columns), values);
        }

        void linear(String name, long rows, long columns, Gaussian.Table values) {
            matrix(name + ".weight", rows, columns, values);
            add(name + ".bias", List.of(rows), weights);
        }

        void norm(String name, long size) {
            add(name + ".weight", List.of(size), scales);
            add(name + ".bias", List.of(size), weights);
        }

        void buffers(String prefix, int rotaryDims) {
            List<Long> maskShape = List.of(1L, 1L, (long) CONTEXT_LENGTH, (long) CONTEXT_LENGTH);
            tensors.add(new TensorRule(prefix + "bias", DType.UINT8, maskShape, Maker::fillCausalMask));
            tensors.add(new TensorRule(
                    prefix + "masked_bias", DType.FLOAT32, List.of(), (out, first) -> out.putFloat(-1e9f)));
            tensors.add(new TensorRule(
                    prefix + "rotary_emb.inv_freq", DType.FLOAT32, List.of(rotaryDims / 2L), (out, first) -> {
                        for (long i = first; out.hasRemaining(); i++) {
                            out.putFloat((float) Math.pow(10_000, -2.0 * i / rotaryDims));
                        }
                    }));
        }

        private static void fillCausalMask(ByteBuffer out, long first) {
            for (long i = first; out.hasRemaining(); i++) {
                out.put((byte) (i % CONTEXT_LENGTH <= i / CONTEXT_LENGTH ? 1 : 0));
            }
        }

        private void add(String name, List<Long> shape, Gaussian.Table values) {
            Gaussian content = new Gaussian(values, seed ^ ((long) name.hashCode() << Integer.SIZE));
            tensors.add(new TensorRule(name, dtype, shape, content));
        }
    }
}
