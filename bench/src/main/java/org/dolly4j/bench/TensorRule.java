package org.dolly4j.bench;

import java.nio.ByteBuffer;
import java.util.List;
import org.dolly4j.checkpoint.DType;

/**
 * A tensor of a checkpoint to be written, which exists only as the rule by which its bytes are made.
 *
 * @param name name in the checkpoint
 * @param dtype element type
 * @param shape sizes, outermost first
 * @param content makes the bytes
 */
record TensorRule(String name, DType dtype, List<Long> shape, Content content) {
    /** Copies the list. */
    TensorRule {
        shape = List.copyOf(shape);
    }

    /** Makes any part of a tensor's bytes, always the same ones. Thread-safe. */
    interface Content {
        /**
         * Fills a little-endian buffer.
         *
         * @param out filled to its limit, which is a multiple of 8 from its position but for the tensor's last part
         * @param firstElement index of the first element, a multiple of 4
         */
        void fill(ByteBuffer out, long firstElement);
    }

    long elements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    long bytes() {
        return elements() * dtype.bytes();
    }
}
