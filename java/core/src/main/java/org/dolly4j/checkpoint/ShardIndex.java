package org.dolly4j.checkpoint;

import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.dolly4j.CheckpointException;

/**
 * Reads weights cut into several files. {@code model.safetensors.index.json} or {@code pytorch_model.bin.index.json}
 * holds {@code weight_map}, an object of tensor name to file name. Files lie in the folder of the index: a name that
 * could lead elsewhere is refused.
 */
final class ShardIndex {
    /** A plain file name: no separators, no drive, not hidden, so neither "." nor "..". */
    private static final Pattern PLAIN_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,250}");

    private final Path index;
    private final String ending;
    private final Map<String, String> weightMap = new LinkedHashMap<>();

    private ShardIndex(Path index, String ending) {
        this.index = index;
        this.ending = ending;
    }

    /**
     * Locates the tensors of all files that an index names.
     *
     * @param index the index
     * @param ending of the names of the files
     * @param shardReader locates the tensors of one of them, by name
     * @return tensors by name, file by file, unmodifiable
     * @throws CheckpointException if the index or a file is damaged, a file is missing or lies elsewhere, a tensor is
     *     not in the file that the index names, or two files hold the same tensor
     */
    static Map<String, TensorLocation> read(
            Path index, String ending, Function<Path, Map<String, TensorLocation>> shardReader) {
        ShardIndex reader = new ShardIndex(index, ending);
        reader.readWeightMap();
        return reader.locate(shardReader);
    }

    private Map<String, TensorLocation> locate(Function<Path, Map<String, TensorLocation>> shardReader) {
        Map<String, TensorLocation> tensors = new LinkedHashMap<>();
        Set<String> shards = new LinkedHashSet<>(weightMap.values());
        for (String shard : shards) {
            Path path = index.resolveSibling(shard);
            if (!Files.exists(path)) {
                throw CheckpointFile.error(
                        index, "needs the file '%s', which is not there. Get the missing file.", shard);
            }
            for (TensorLocation tensor : shardReader.apply(path).values()) {
                TensorLocation other = tensors.put(tensor.name(), tensor);
                if (other != null) {
                    throw CheckpointFile.error(
                            index,
                            "tensor '%s' is in '%s' and in '%s'. The files are of different checkpoints.",
                            tensor.name(),
                            other.path().getFileName(),
                            shard);
                }
                if (tensors.size() > Safetensors.MAX_TENSORS) {
                    throw tooMany();
                }
            }
        }
        weightMap.forEach((name, shard) -> {
            TensorLocation tensor = tensors.get(name);
            if (tensor == null || !tensor.path().endsWith(shard)) {
                throw CheckpointFile.error(
                        index,
                        "tensor '%s' is not in '%s', where the index says it is. The files are of different "
                                + "checkpoints.",
                        name,
                        shard);
            }
        });
        return Collections.unmodifiableMap(tensors);
    }

    private void readWeightMap() {
        try (CheckpointFile file = CheckpointFile.open(index);
                JsonReader json = file.json(0, file.size())) {
            if (file.size() > Safetensors.MAX_HEADER_BYTES) {
                throw file.error("has %,d bytes; at most %,d are accepted.", file.size(), Safetensors.MAX_HEADER_BYTES);
            }
            json.beginObject();
            while (json.hasNext()) {
                if (json.nextName().equals("weight_map")) {
                    readEntries(json);
                } else {
                    json.skipValue();
                }
            }
            json.endObject();
            if (json.peek() != JsonToken.END_DOCUMENT) {
                throw CheckpointFile.error(index, "is not one JSON object.");
            }
        } catch (IOException | IllegalStateException e) {
            throw CheckpointFile.notJson(index, "the index", e);
        }
        if (weightMap.isEmpty()) {
            throw CheckpointFile.error(
                    index, "has no weight_map, or an empty one. It is not an index of files with weights.");
        }
    }

    private void readEntries(JsonReader json) throws IOException {
        json.beginObject();
        while (json.hasNext()) {
            String name = json.nextName();
            String shard = json.nextString();
            if (!PLAIN_NAME.matcher(shard).matches() || !shard.endsWith(ending)) {
                throw CheckpointFile.error(
                        index,
                        "tensor '%s' is said to be in '%s'. Only names of %s files in the folder of the index are "
                                + "accepted.",
                        name,
                        shard,
                        ending);
            }
            if (weightMap.put(name, shard) != null) {
                throw CheckpointFile.error(index, "names the tensor '%s' twice.", name);
            }
            if (weightMap.size() > Safetensors.MAX_TENSORS) {
                throw tooMany();
            }
        }
        json.endObject();
    }

    private CheckpointException tooMany() {
        return CheckpointFile.error(
                index, "has more than %,d tensors, which is more than any model needs.", Safetensors.MAX_TENSORS);
    }
}
