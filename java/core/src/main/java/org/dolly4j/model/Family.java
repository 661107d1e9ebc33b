package org.dolly4j.model;

import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.ConfigValues;

/**
 * A family of models: how its config.json and the names and row orders of its tensors become the one decoder. Family
 * differences end here.
 */
public sealed interface Family permits NamedTensors {
    /** GPT-NeoX: Pythia, Dolly v2, GPT-NeoX-20B. */
    Family GPT_NEOX = new GptNeoX();

    /** GPT-J: Dolly v1. */
    Family GPT_J = new GptJ();

    /**
     * The family that config.json names as {@code model_type}.
     *
     * @throws org.dolly4j.CheckpointException if it names none that is supported
     */
    static Family of(ConfigValues config) {
        String modelType = config.requiredString("model_type");
        return switch (modelType) {
            case GptNeoX.MODEL_TYPE -> GPT_NEOX;
            case GptJ.MODEL_TYPE -> GPT_J;
            default ->
                throw config.refuse(
                        "model_type",
                        "is '%s', which is not supported. Supported: '%s' (Dolly v2, Pythia, GPT-NeoX-20B) and '%s' (Dolly v1,"
                                + " GPT-J).",
                        modelType,
                        GptNeoX.MODEL_TYPE,
                        GptJ.MODEL_TYPE);
        };
    }

    /**
     * Reads a checkpoint of any supported family.
     *
     * @throws org.dolly4j.CheckpointException as {@link #of} and {@link #plan}
     */
    static WeightPlan planFor(Checkpoint checkpoint) {
        return of(checkpoint.config()).plan(checkpoint);
    }

    /**
     * The decoder that config.json describes, as far as it can be told without the tensors: whether the head is the
     * embedding is what config.json says.
     *
     * @throws org.dolly4j.CheckpointException if a value of config.json can't be used
     */
    DecoderSpec spec(ConfigValues config);

    /**
     * Reads a checkpoint of this family: checks config.json, and that all tensors are there in the right shapes.
     * Tensors that the family doesn't know are reported in a warning, as in Hugging Face.
     *
     * @throws org.dolly4j.CheckpointException if a value of config.json can't be used, or a tensor is missing, of a
     *     wrong shape, or not of a floating-point type
     */
    WeightPlan plan(Checkpoint checkpoint);

    /**
     * What the tensors of a checkpoint of this family are to it. Whether the checkpoint is complete is not asked.
     *
     * @throws org.dolly4j.CheckpointException if a value of config.json can't be used, or the checkpoint holds the same
     *     weights under two names
     */
    TensorRoles roles(Checkpoint checkpoint);
}
