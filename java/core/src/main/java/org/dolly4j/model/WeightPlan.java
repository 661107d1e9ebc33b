package org.dolly4j.model;

import java.util.List;

/**
 * All that loading a checkpoint needs to know of it.
 *
 * @param spec shape and traits of the decoder
 * @param rows where each row of each slot of the spec comes from; every row exactly once
 */
public record WeightPlan(DecoderSpec spec, List<SlotRows> rows) {
    /** Copies the list. */
    public WeightPlan {
        rows = List.copyOf(rows);
    }
}
