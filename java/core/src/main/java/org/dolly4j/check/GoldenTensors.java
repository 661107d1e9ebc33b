package org.dolly4j.check;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.Safetensors;
import org.dolly4j.checkpoint.TensorLocation;

/** Tensors of a small safetensors file, as Java arrays. */
final class GoldenTensors {
    private final Path file;
    private final Map<String, TensorLocation> tensors;

    GoldenTensors(Path file) {
        this.file = file;
        this.tensors = Safetensors.read(file);
    }

    boolean has(String name) {
        return tensors.containsKey(name);
    }

    /** An int64 tensor. */
    int[] ints(String name) {
        ByteBuffer bytes = read(name, DType.INT64);
        int[] values = new int[bytes.remaining() / Long.BYTES];
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.toIntExact(bytes.getLong());
        }
        return values;
    }

    /**
     * A float32 or bfloat16 tensor, row-major.
     *
     * @param count how many values it should have
     */
    float[] floats(String name, int count) {
        ByteBuffer bytes = read(name, DType.FLOAT32, DType.BFLOAT16);
        DType dtype = tensors.get(name).dtype();
        if (bytes.remaining() != (long) count * dtype.bytes()) {
            throw new CheckpointException("%s: the tensor '%s' has %d values instead of %d"
                    .formatted(file, name, bytes.remaining() / dtype.bytes(), count));
        }
        float[] values = new float[count];
        for (int i = 0; i < values.length; i++) {
            values[i] =
                    dtype == DType.BFLOAT16 ? Float.intBitsToFloat(bytes.getShort() << Short.SIZE) : bytes.getFloat();
        }
        return values;
    }

    private ByteBuffer read(String name, DType... allowed) {
        TensorLocation tensor = tensors.get(name);
        if (tensor == null) {
            throw new CheckpointException(file + ": lacks the tensor '" + name + "'");
        }
        if (!List.of(allowed).contains(tensor.dtype())) {
            throw new CheckpointException("%s: the tensor '%s' is %s instead of %s"
                    .formatted(file, name, tensor.dtype(), Arrays.toString(allowed)));
        }
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.length())).order(ByteOrder.LITTLE_ENDIAN);
        try (FileChannel channel = FileChannel.open(tensor.path())) {
            while (bytes.hasRemaining()) {
                if (channel.read(bytes, tensor.offset() + bytes.position()) < 0) {
                    throw new CheckpointException(file + ": ends inside the tensor '" + name + "'");
                }
            }
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
        }
        return bytes.flip();
    }
}
