package org.dolly4j.model;

/** Activation function of the feed-forward block. */
public enum Activation {
    /** {@code x * Phi(x)} by the error function (HF {@code gelu}). */
    GELU_ERF,
    /** The tanh approximation of GELU (HF {@code gelu_new}, {@code gelu_fast}, {@code gelu_pytorch_tanh}). */
    GELU_TANH
}
