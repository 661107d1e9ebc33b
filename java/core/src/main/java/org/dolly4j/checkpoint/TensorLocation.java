package org.dolly4j.checkpoint;

import java.nio.file.Path;
import java.util.List;

/**
 * Where the elements of a tensor lie in a file. Element [i, j, ...] starts at byte
 * {@code offset + (i * strides[0] + j * strides[1] + ...) * dtype.bytes()}; all elements lie inside
 * [{@code offset}, {@code offset + length}), which lies inside the file (checked by whoever made this).
 *
 * @param name name in the checkpoint, for messages
 * @param path file
 * @param offset first byte of the tensor in the file
 * @param length bytes from the first byte of the first element to the last byte of the last one, end excluded
 * @param dtype element type
 * @param shape sizes, outermost first; empty for a scalar
 * @param strides distance of neighbours in each dimension, in elements; same length as {@code shape}
 */
public record TensorLocation(
        String name, Path path, long offset, long length, DType dtype, List<Long> shape, List<Long> strides) {
    /** Copies the lists. */
    public TensorLocation {
        shape = List.copyOf(shape);
        strides = List.copyOf(strides);
    }
}
