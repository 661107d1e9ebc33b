package org.dolly4j.model;

/** The weight matrices and vectors of a decoder. Matrices are [output rows, input columns], row-major. */
public enum WeightSlot {
    /** [vocab, hidden]. */
    EMBEDDING(false, false),
    /** [hidden]: norm before attention (GPT-J: before both). */
    ATTENTION_NORM_WEIGHT(true, true),
    ATTENTION_NORM_BIAS(true, true),
    /** [hidden]: norm before the feed-forward block. */
    FFN_NORM_WEIGHT(true, true),
    FFN_NORM_BIAS(true, true),
    /** [3 * hidden, hidden]: rows of Q, then K, then V; heads in order; rotary dimensions in rotate-half order. */
    QKV_WEIGHT(true, false),
    QKV_BIAS(true, true),
    /** [hidden, hidden]: attention output. */
    DENSE_WEIGHT(true, false),
    DENSE_BIAS(true, true),
    /** [ffn, hidden]. */
    FC1_WEIGHT(true, false),
    FC1_BIAS(true, true),
    /** [hidden, ffn]. */
    FC2_WEIGHT(true, false),
    FC2_BIAS(true, true),
    /** [hidden]. */
    FINAL_NORM_WEIGHT(false, true),
    FINAL_NORM_BIAS(false, true),
    /** [vocab, hidden]; absent when tied. */
    HEAD_WEIGHT(false, false),
    HEAD_BIAS(false, true);

    private final boolean perLayer;
    private final boolean vector;

    WeightSlot(boolean perLayer, boolean vector) {
        this.perLayer = perLayer;
        this.vector = vector;
    }

    /** Whether every block has one of its own. */
    public boolean isPerLayer() {
        return perLayer;
    }

    /** Whether it has one dimension: norms and biases. */
    public boolean isVector() {
        return vector;
    }
}
