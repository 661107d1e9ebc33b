package org.dolly4j.model;

/** What the config.json of published models says, for tests. */
public final class PublishedSpecs {
    /** About 11.2 GB of weights in float32, 5.6 in bfloat16, 2.9 in int8 and 1.7 in int4. */
    public static final DecoderSpec DOLLY_V2_3B = new DecoderSpec(
            32,
            2560,
            32,
            80,
            10240,
            50280,
            2048,
            20,
            10_000,
            Activation.GELU_ERF,
            1e-5,
            true,
            false,
            true,
            true,
            false,
            false);

    public static final DecoderSpec GPT_J_6B = new DecoderSpec(
            28,
            4096,
            16,
            256,
            16384,
            50400,
            2048,
            64,
            10_000,
            Activation.GELU_TANH,
            1e-5,
            true,
            true,
            false,
            true,
            true,
            false);

    private PublishedSpecs() {}
}
