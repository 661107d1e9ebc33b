package org.dolly4j.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.dolly4j.CheckpointException;

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
 * @param strides distance of neighbours in each dimension, in elements, never negative; same length as {@code shape}
 */
public record TensorLocation(
        String name, Path path, long offset, long length, DType dtype, List<Long> shape, List<Long> strides) {
    /** Most dimensions a tensor may have; weights have one or two, the old attention masks four. */
    static final int MAX_DIMENSIONS = 16;

    /** Longest name accepted. */
    private static final int MAX_NAME_LENGTH = 500;

    /** Copies the lists. */
    public TensorLocation {
        shape = List.copyOf(shape);
        strides = List.copyOf(strides);
    }

    /** Number of elements, 1 for a scalar. */
    public long elements() {
        long elements = 1;
        for (long size : shape) {
            elements *= size;
        }
        return elements;
    }

    /** Whether the elements follow each other row-major without gaps. */
    public boolean isContiguous() {
        long expected = 1;
        for (int d = shape.size() - 1; d >= 0; d--) {
            if (shape.get(d) != 1 && strides.get(d) != expected) {
                return elements() == 0;
            }
            expected *= shape.get(d);
        }
        return true;
    }

    /** Whether {@code other} is made of the same bytes in the same arrangement. */
    public boolean sameElementsAs(TensorLocation other) {
        return path.equals(other.path)
                && offset == other.offset
                && dtype == other.dtype
                && shape.equals(other.shape)
                && strides.equals(other.strides);
    }

    /**
     * Places a view into a run of bytes, for example a tensor into its storage.
     *
     * @param name name of the tensor
     * @param path file, already known to hold the run
     * @param runOffset first byte of the run in the file
     * @param runBytes bytes of the run
     * @param dtype element type
     * @param firstElement first element of the view, in elements from the start of the run
     * @param shape sizes
     * @param strides distances in elements
     * @throws CheckpointException if a size is negative or overflows, or the view leaves the run
     */
    static TensorLocation inRun(
            String name,
            Path path,
            long runOffset,
            long runBytes,
            DType dtype,
            long firstElement,
            List<Long> shape,
            List<Long> strides) {
        if (shape.size() > MAX_DIMENSIONS || shape.size() != strides.size()) {
            throw CheckpointFile.error(
                    path,
                    "tensor '%s' has %d sizes and %d strides; expected as many of one as of the other, at most %d.",
                    name,
                    shape.size(),
                    strides.size(),
                    MAX_DIMENSIONS);
        }
        if (firstElement < 0 || anyNegative(shape) || anyNegative(strides)) {
            throw CheckpointFile.error(
                    path,
                    "tensor '%s' has a negative size: offset %d, shape %s, strides %s.",
                    name,
                    firstElement,
                    shape,
                    strides);
        }
        long length;
        long endInRun;
        try {
            productOf(shape);
            long lastElement = 0;
            boolean empty = false;
            for (int d = 0; d < shape.size(); d++) {
                empty |= shape.get(d) == 0;
                lastElement =
                        Math.addExact(lastElement, Math.multiplyExact(Math.max(shape.get(d) - 1, 0), strides.get(d)));
            }
            length = empty ? 0 : Math.multiplyExact(Math.addExact(lastElement, 1), (long) dtype.bytes());
            endInRun = Math.addExact(Math.multiplyExact(firstElement, (long) dtype.bytes()), length);
        } catch (ArithmeticException overflow) {
            throw CheckpointFile.error(
                    path,
                    "tensor '%s' is too large to exist: offset %d, shape %s, strides %s.",
                    name,
                    firstElement,
                    shape,
                    strides);
        }
        if (endInRun > runBytes) {
            throw CheckpointFile.error(
                    path,
                    "tensor '%s' (offset %,d, shape %s, strides %s) ends at byte %,d of its storage, which has %,d. "
                            + "The file is damaged: get it again.",
                    name,
                    firstElement,
                    shape,
                    strides,
                    endInRun,
                    runBytes);
        }
        long offset = runOffset + firstElement * dtype.bytes();
        return new TensorLocation(name, path, offset, length, dtype, shape, strides);
    }

    /**
     * Refuses names that no model has and that would spoil a message or a log.
     *
     * @throws CheckpointException if the name is very long or has control characters
     */
    static void requireSaneName(String name, Path path) {
        if (name.length() > MAX_NAME_LENGTH || name.chars().anyMatch(Character::isISOControl)) {
            throw CheckpointFile.error(
                    path,
                    "tensor '%s' has a name of more than %d characters or with control characters. "
                            + "The file is damaged or malicious.",
                    name,
                    MAX_NAME_LENGTH);
        }
    }

    /**
     * Strides of a row-major tensor without gaps.
     *
     * @throws ArithmeticException if the number of elements overflows
     */
    static List<Long> contiguousStrides(List<Long> shape) {
        List<Long> strides = new ArrayList<>(Collections.nCopies(shape.size(), 1L));
        long stride = 1;
        for (int d = shape.size() - 1; d >= 0; d--) {
            strides.set(d, stride);
            stride = Math.multiplyExact(stride, Math.max(shape.get(d), 1));
        }
        return strides;
    }

    /**
     * Number of elements of a shape.
     *
     * @throws ArithmeticException if it overflows
     */
    static long productOf(List<Long> shape) {
        long product = 1;
        for (long size : shape) {
            product = Math.multiplyExact(product, size);
        }
        return product;
    }

    private static boolean anyNegative(List<Long> values) {
        return values.stream().anyMatch(v -> v < 0);
    }
}
