package org.dolly4j.checkpoint;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.dolly4j.CheckpointException;

/**
 * Writes weights as safetensors, in one file or in several with an index, as Hugging Face does: the bytes of a file are
 * those that its package writes for the same tensors, and tensors are cut into files by the rule of {@code
 * huggingface_hub.split_torch_state_dict_into_shards}. Immutable.
 */
public final class SafetensorsWriter {
    /** The header is padded with spaces to a multiple of this. */
    private static final int ALIGNMENT = 8;

    private static final Map<DType, String> DTYPE_NAMES =
            Safetensors.DTYPES.entrySet().stream().collect(Collectors.toMap(Map.Entry::getValue, Map.Entry::getKey));

    /** Element types in the order of their data in a file, which keeps all aligned. */
    private static final List<DType> DTYPE_ORDER = List.of(
            DType.INT64,
            DType.FLOAT64,
            DType.FLOAT32,
            DType.INT32,
            DType.BFLOAT16,
            DType.FLOAT16,
            DType.INT16,
            DType.INT8,
            DType.UINT8,
            DType.BOOL);

    private static final Comparator<Tensor> FILE_ORDER = Comparator.comparing(
                    (Tensor tensor) -> DTYPE_ORDER.indexOf(tensor.dtype))
            .thenComparing(tensor -> tensor.name.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned);

    private static final Gson INDEX_JSON =
            new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();
    private static final Gson HEADER_JSON =
            new GsonBuilder().disableHtmlEscaping().create();

    private final List<Shard> shards;
    private final long bytes;

    /**
     * A tensor to be written.
     *
     * @param name name in the checkpoint
     * @param dtype element type
     * @param shape sizes, outermost first
     */
    public record Tensor(String name, DType dtype, List<Long> shape) {
        /**
         * Copies the list.
         *
         * @throws CheckpointException if the name has another meaning in the format
         */
        public Tensor {
            shape = List.copyOf(shape);
            if (name.equals(Safetensors.METADATA)) {
                throw new CheckpointException("A tensor cannot be named " + name + " in safetensors. Rename it.");
            }
        }

        /**
         * Its size.
         *
         * @throws ArithmeticException if it is larger than any file
         */
        public long bytes() {
            return Math.multiplyExact(TensorLocation.productOf(shape), (long) dtype.bytes());
        }
    }

    /** Makes the data of a file. */
    @FunctionalInterface
    public interface Data {
        /**
         * Writes all tensors of a file.
         *
         * @param file open for reading and writing
         * @param offsets by name the byte that each tensor begins at, in their order
         */
        void write(FileChannel file, Map<String, Long> offsets) throws IOException;
    }

    /**
     * One file.
     *
     * @param name file name
     * @param header what stands before the data, its length included
     * @param offsets where each tensor begins
     * @param bytes size of the file
     */
    private record Shard(String name, byte[] header, Map<String, Long> offsets, long bytes) {}

    /**
     * Plans the files.
     *
     * @param tensors in the order in which they are cut into files
     * @param maxShardBytes most bytes of tensors in a file, but for a tensor that is larger alone
     * @throws ArithmeticException if all together are larger than any file
     */
    public SafetensorsWriter(List<Tensor> tensors, long maxShardBytes) {
        List<List<Tensor>> cut = cut(tensors, maxShardBytes);
        List<Shard> planned = new ArrayList<>();
        for (List<Tensor> shard : cut) {
            String name = cut.size() == 1
                    ? WeightFormat.SAFETENSORS.fileName()
                    : String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", planned.size() + 1, cut.size());
            planned.add(plan(name, shard));
        }
        shards = List.copyOf(planned);
        bytes = shards.stream().mapToLong(Shard::bytes).reduce(0, Math::addExact);
    }

    private static List<List<Tensor>> cut(List<Tensor> tensors, long maxShardBytes) {
        List<List<Tensor>> shards = new ArrayList<>();
        List<Tensor> open = new ArrayList<>();
        long openBytes = 0;
        for (Tensor tensor : tensors) {
            long bytes = tensor.bytes();
            if (bytes > maxShardBytes) {
                shards.add(List.of(tensor));
                continue;
            }
            if (Math.addExact(openBytes, bytes) > maxShardBytes) {
                shards.add(open);
                open = new ArrayList<>();
                openBytes = 0;
            }
            open.add(tensor);
            openBytes += bytes;
        }
        if (!open.isEmpty() || shards.isEmpty()) {
            shards.add(open);
        }
        return shards;
    }

    private static Shard plan(String name, List<Tensor> tensors) {
        JsonObject metadata = new JsonObject();
        metadata.addProperty("format", "pt");
        JsonObject json = new JsonObject();
        json.add(Safetensors.METADATA, metadata);
        Map<String, Long> offsets = new LinkedHashMap<>();
        long end = 0;
        for (Tensor tensor : tensors.stream().sorted(FILE_ORDER).toList()) {
            offsets.put(tensor.name, end);
            long begin = end;
            end = Math.addExact(end, tensor.bytes());
            JsonObject entry = new JsonObject();
            entry.addProperty("dtype", DTYPE_NAMES.get(tensor.dtype));
            entry.add("shape", array(tensor.shape));
            entry.add("data_offsets", array(List.of(begin, end)));
            json.add(tensor.name, entry);
        }
        byte[] header = header(HEADER_JSON.toJson(json).getBytes(StandardCharsets.UTF_8));
        offsets.replaceAll((tensor, offset) -> offset + header.length);
        return new Shard(name, header, Collections.unmodifiableMap(offsets), Math.addExact(end, header.length));
    }

    private static byte[] header(byte[] json) {
        int padded = (json.length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        byte[] header = new byte[Safetensors.LENGTH_BYTES + padded];
        Arrays.fill(header, (byte) ' ');
        ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(json);
        return header;
    }

    private static JsonArray array(List<Long> values) {
        JsonArray array = new JsonArray();
        values.forEach(array::add);
        return array;
    }

    /** Bytes of all files. */
    public long bytes() {
        return bytes;
    }

    /** Names of the files with tensors, in order. */
    public List<String> fileNames() {
        return shards.stream().map(Shard::name).toList();
    }

    /**
     * Writes the files, and waits until they are on the disk.
     *
     * @param folder holds none of them yet
     * @param data is asked for each file in turn
     */
    public void write(Path folder, Data data) throws IOException {
        for (Shard shard : shards) {
            try (FileChannel file = create(folder.resolve(shard.name))) {
                writeAll(file, ByteBuffer.wrap(shard.header), 0);
                data.write(file, shard.offsets);
                file.force(true);
            }
        }
        if (shards.size() > 1) {
            Path index = folder.resolve(WeightFormat.SAFETENSORS_SHARDED.fileName());
            try (FileChannel file = create(index)) {
                writeAll(file, ByteBuffer.wrap(index()), 0);
                file.force(true);
            }
        }
    }

    private static FileChannel create(Path path) throws IOException {
        return FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    private byte[] index() {
        Map<String, String> weightMap = new TreeMap<>();
        long total = 0;
        for (Shard shard : shards) {
            shard.offsets.keySet().forEach(tensor -> weightMap.put(tensor, shard.name));
            total += shard.bytes - shard.header.length;
        }
        JsonObject metadata = new JsonObject();
        metadata.addProperty("total_size", total);
        JsonObject index = new JsonObject();
        index.add("metadata", metadata);
        index.add("weight_map", INDEX_JSON.toJsonTree(weightMap));
        return (INDEX_JSON.toJson(index) + "\n").getBytes(StandardCharsets.UTF_8);
    }

    /** Writes all that remains of a buffer to a place in a file. */
    static void writeAll(FileChannel file, ByteBuffer bytes, long offset) throws IOException {
        long position = offset;
        while (bytes.hasRemaining()) {
            position += file.write(bytes, position);
        }
    }
}
