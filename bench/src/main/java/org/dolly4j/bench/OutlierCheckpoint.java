package org.dolly4j.bench;

import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;

/**
 * Makes of a GPT-NeoX checkpoint one of the same function whose activations have outliers, as those of large models do
 * (Dettmers et al. 2022): a few channels of what the norms of every block give out are larger by a factor, and the
 * columns of the matrices that take them smaller by it.
 */
final class OutlierCheckpoint {
    private static final Set<String> LARGER = Set.of(
            "input_layernorm.weight",
            "input_layernorm.bias",
            "post_attention_layernorm.weight",
            "post_attention_layernorm.bias");

    private static final Set<String> SMALLER = Set.of("attention.query_key_value.weight", "mlp.dense_h_to_4h.weight");

    private static final Set<DType> DTYPES = Set.of(DType.FLOAT32, DType.BFLOAT16);

    private OutlierCheckpoint() {}

    /**
     * Writes the changed checkpoint in float32, with the other files of the folder.
     *
     * @param source folder of a GPT-NeoX model in float32 or bfloat16
     * @param target an empty folder
     * @param channels how many; they lie evenly over the hidden size, so that few of them share a group of weights
     * @param threads tensors made at a time
     * @throws IllegalArgumentException if the model has no such norms, fewer channels, or another type of weights
     */
    static void write(Path source, Path target, float factor, int channels, int threads) throws IOException {
        Checkpoint checkpoint = Checkpoint.open(source);
        List<TensorRule> rules = new ArrayList<>();
        boolean changed = false;
        for (TensorLocation tensor : checkpoint.tensors().values()) {
            if (!tensor.dtype().isFloating()) {
                continue; // a mask
            }
            float change = change(tensor.name(), factor);
            changed |= isChanged(tensor.name());
            rules.add(new TensorRule(
                    tensor.name(), DType.FLOAT32, tensor.shape(), content(tensor, factors(tensor, change, channels))));
        }
        if (!changed) {
            throw new IllegalArgumentException(source + " is no GPT-NeoX model: it has none of the tensors "
                    + String.join(
                            ", ",
                            Stream.concat(LARGER.stream(), SMALLER.stream())
                                    .sorted()
                                    .toList()) + ".");
        }
        copyOtherFiles(source, target);
        new TensorWriter(threads).writeSafetensors(target, rules, 1);
    }

    private static boolean isChanged(String name) {
        return Stream.concat(LARGER.stream(), SMALLER.stream()).anyMatch(name::endsWith);
    }

    private static float change(String name, float factor) {
        if (LARGER.stream().anyMatch(name::endsWith)) {
            return factor;
        }
        return SMALLER.stream().anyMatch(name::endsWith) ? 1 / factor : 1;
    }

    /** What each column of a tensor is multiplied with. */
    private static float[] factors(TensorLocation tensor, float change, int channels) {
        List<Long> shape = tensor.shape();
        int columns = shape.isEmpty() ? 1 : Math.toIntExact(shape.get(shape.size() - 1));
        float[] factors = new float[columns];
        Arrays.fill(factors, 1);
        if (change != 1) {
            if (channels > columns) {
                throw new IllegalArgumentException("--channels must be at most " + columns + ", not " + channels + ".");
            }
            for (int i = 0; i < channels; i++) {
                factors[(int) ((long) i * columns / channels)] = change;
            }
        }
        return factors;
    }

    private static TensorRule.Content content(TensorLocation tensor, float[] factors) {
        if (!DTYPES.contains(tensor.dtype()) || !tensor.isContiguous()) {
            throw new IllegalArgumentException(tensor.path() + ": the tensor '" + tensor.name() + "' is "
                    + tensor.dtype() + (tensor.isContiguous() ? "" : " and a view") + "; expected " + DTYPES + ".");
        }
        return (out, firstElement) -> {
            ByteBuffer bytes = read(tensor, firstElement, out.remaining() / Float.BYTES);
            for (long i = firstElement; out.hasRemaining(); i++) {
                float value = tensor.dtype() == DType.BFLOAT16
                        ? Float.intBitsToFloat(bytes.getShort() << Short.SIZE)
                        : bytes.getFloat();
                out.putFloat(value * factors[(int) (i % factors.length)]);
            }
        };
    }

    private static ByteBuffer read(TensorLocation tensor, long firstElement, int elements) {
        int elementBytes = tensor.dtype().bytes();
        ByteBuffer bytes = ByteBuffer.allocate(elements * elementBytes).order(ByteOrder.LITTLE_ENDIAN);
        long start = tensor.offset() + firstElement * elementBytes;
        try (FileChannel file = FileChannel.open(tensor.path())) {
            while (bytes.hasRemaining()) {
                if (file.read(bytes, start + bytes.position()) < 0) {
                    throw new EOFException(tensor.path() + " ends inside the tensor '" + tensor.name() + "'");
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.flip();
    }

    private static void copyOtherFiles(Path source, Path target) throws IOException {
        try (Stream<Path> files = Files.list(source)) {
            for (Path file :
                    files.filter(file -> file.toString().endsWith(".json")).toList()) {
                if (!file.toString().endsWith(".index.json")) {
                    Files.copy(file, target.resolve(file.getFileName()));
                }
            }
        }
    }
}
