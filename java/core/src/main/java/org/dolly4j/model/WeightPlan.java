package org.dolly4j.model;

import java.util.List;

/**
 * All that loading a checkpoint needs to know of it.
 *
 * @param spec shape and traits of the decoder
 * @param rows where each row of each slot of the spec comes from; every row exactly once
 * @param unknownTensors names of tensors that the family does not have, sorted; they are not used
 */
public record WeightPlan(DecoderSpec spec, List<SlotRows> rows, List<String> unknownTensors) {
    /** Copies the lists. */
    public WeightPlan {
        rows = List.copyOf(rows);
        unknownTensors = List.copyOf(unknownTensors);
    }
}
