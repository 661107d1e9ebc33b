package org.dolly4j.sampling;

/** How the next token is chosen; names, defaults and meaning of Hugging Face's GenerationConfig. */
public final class SamplingOptions {
    private SamplingOptions() {}
}
