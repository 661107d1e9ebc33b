package org.dolly4j.model;

/** The weight matrices and vectors of a decoder. Matrices are [output rows, input columns], row-major. */
public enum WeightSlot {
    /** [vocab, hidden]. */
    EMBEDDING,
    /** [hidden]: norm before attention (GPT-J: before both). */
    ATTENTION_NORM_WEIGHT,
    ATTENTION_NORM_BIAS,
    /** [hidden]: norm before the feed-forward block. */
    FFN_NORM_WEIGHT,
    FFN_NORM_BIAS,
    /** [3 * hidden, hidden]: rows of Q, then K, then V; heads in order; rotary dimensions in rotate-half order. */
    QKV_WEIGHT,
    QKV_BIAS,
    /** [hidden, hidden]: attention output. */
    DENSE_WEIGHT,
    DENSE_BIAS,
    /** [ffn, hidden]. */
    FC1_WEIGHT,
    FC1_BIAS,
    /** [hidden, ffn]. */
    FC2_WEIGHT,
    FC2_BIAS,
    /** [hidden]. */
    FINAL_NORM_WEIGHT,
    FINAL_NORM_BIAS,
    /** [vocab, hidden]; absent when tied. */
    HEAD_WEIGHT,
    HEAD_BIAS
}
