package org.dolly4j.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.dolly4j.checkpoint.DType;

/** Writes safetensors files, in one piece or in several with an index. */
final class SafetensorsWriter {
    private static final Map<DType, String> DTYPE_NAMES = Map.of(DType.FLOAT32, "F32", DType.BFLOAT16, "BF16");

    /** The header is padded with spaces to a multiple of this, as Hugging Face's writer does. */
    private static final int ALIGNMENT = 8;

    private final TensorWriter writer;

    SafetensorsWriter(TensorWriter writer) {
        this.writer = writer;
    }

    /** Writes all tensors to one file. */
    void write(Path path, List<TensorRule> tensors) throws IOException {
        JsonObject header = new JsonObject();
        JsonObject metadata = new JsonObject();
        metadata.addProperty("format", "pt");
        header.add("__metadata__", metadata);
        long[] offsets = new long[tensors.size()];
        long end = 0;
        for (int i = 0; i < tensors.size(); i++) {
            TensorRule tensor = tensors.get(i);
            offsets[i] = end;
            end += tensor.bytes();
            JsonObject entry = new JsonObject();
            entry.addProperty("dtype", DTYPE_NAMES.get(tensor.dtype()));
            entry.add("shape", array(tensor.shape()));
            entry.add("data_offsets", array(List.of(offsets[i], end)));
            header.add(tensor.name(), entry);
        }
        byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
        int padded = (json.length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        ByteBuffer start = ByteBuffer.allocate(Long.BYTES + padded)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(padded)
                .put(json);
        while (start.hasRemaining()) {
            start.put((byte) ' ');
        }
        for (int i = 0; i < offsets.length; i++) {
            offsets[i] += start.limit();
        }
        try (FileChannel file = FileChannel.open(
                path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            TensorWriter.writeAll(file, start.flip(), 0);
            writer.write(file, tensors, offsets);
        }
    }

    /** Cuts the tensors, in order, into files of about equal size and writes them with their index. */
    void writeSharded(Path folder, List<TensorRule> tensors, int files) throws IOException {
        long total = tensors.stream().mapToLong(TensorRule::bytes).sum();
        List<List<TensorRule>> shards = new ArrayList<>();
        long bytes = 0;
        for (TensorRule tensor : tensors) {
            if (bytes >= total * shards.size() / files) {
                shards.add(new ArrayList<>());
            }
            shards.get(shards.size() - 1).add(tensor);
            bytes += tensor.bytes();
        }
        JsonObject weightMap = new JsonObject();
        for (int i = 0; i < shards.size(); i++) {
            String name = String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", i + 1, shards.size());
            shards.get(i).forEach(tensor -> weightMap.addProperty(tensor.name(), name));
            write(folder.resolve(name), shards.get(i));
        }
        JsonObject metadata = new JsonObject();
        metadata.addProperty("total_size", total);
        JsonObject index = new JsonObject();
        index.add("metadata", metadata);
        index.add("weight_map", weightMap);
        Files.writeString(folder.resolve("model.safetensors.index.json"), index.toString());
    }

    private static JsonArray array(List<Long> values) {
        JsonArray array = new JsonArray();
        values.forEach(array::add);
        return array;
    }
}
