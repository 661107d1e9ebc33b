package org.dolly4j.model;

import java.util.List;
import org.dolly4j.checkpoint.TensorLocation;

/**
 * "Rows of this tensor go to these rows of that slot." A vector counts as a matrix of one column.
 *
 * @param source tensor of one or two dimensions
 * @param slot where its rows go
 * @param layer block of the slot, 0 for slots outside the blocks
 * @param runs which rows go where
 */
public record SlotRows(TensorLocation source, WeightSlot slot, int layer, List<Run> runs) {
    /** Copies the list. */
    public SlotRows {
        runs = List.copyOf(runs);
    }

    /**
     * Rows that follow each other in the slot, and as far apart in the tensor.
     *
     * @param sourceRow first row in the tensor
     * @param sourceStep how many rows of the tensor further the next one is
     * @param slotRow first row in the slot
     * @param count number of rows
     */
    public record Run(int sourceRow, int sourceStep, int slotRow, int count) {
        /** Rows that follow each other in the tensor too. */
        public Run(int sourceRow, int slotRow, int count) {
            this(sourceRow, 1, slotRow, count);
        }
    }
}
