package org.dolly4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.List;

/**
 * Reads the elements of small tensors, element by element by offset and strides, as the contract of a location says.
 */
public final class TensorBytes {
    private TensorBytes() {}

    /** The elements of a tensor in row-major order, as stored. */
    public static byte[] dense(TensorLocation tensor) throws IOException {
        ByteBuffer run = ByteBuffer.allocate(Math.toIntExact(tensor.length()));
        try (FileChannel file = FileChannel.open(tensor.path())) {
            file.read(run, tensor.offset());
        }
        if (run.hasRemaining()) {
            throw new IOException(tensor + " reaches beyond its file");
        }
        run.clear();
        ByteBuffer dense = ByteBuffer.allocate(
                Math.toIntExact(tensor.elements() * tensor.dtype().bytes()));
        append(tensor, run, 0, 0, dense);
        return dense.array();
    }

    private static void append(TensorLocation tensor, ByteBuffer run, int dimension, long element, ByteBuffer dense) {
        List<Long> shape = tensor.shape();
        if (dimension == shape.size()) {
            int bytes = tensor.dtype().bytes();
            dense.put(run.slice(Math.toIntExact(element * bytes), bytes));
            return;
        }
        for (long i = 0; i < shape.get(dimension); i++) {
            append(tensor, run, dimension + 1, element + i * tensor.strides().get(dimension), dense);
        }
    }
}
