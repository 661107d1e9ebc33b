package org.dolly4j.checkpoint;

import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;

/**
 * Reads the header of a safetensors file: 8 bytes with the length of the header, the header (a JSON object of name to
 * {@code {"dtype", "shape", "data_offsets": [begin, end]}}), the data. As in Hugging Face's reader, the ranges must
 * cover the data exactly, without gap or overlap.
 */
public final class Safetensors {
    /** Longest header accepted, as in Hugging Face's reader. */
    static final long MAX_HEADER_BYTES = 100_000_000;

    /** Most tensors accepted; the largest published models have some thousands. */
    static final int MAX_TENSORS = 100_000;

    static final int LENGTH_BYTES = 8;

    /** Where a header holds facts about the file in place of a tensor. */
    static final String METADATA = "__metadata__";

    /** What the format calls element types. */
    static final Map<String, DType> DTYPES = Map.of(
            "F32", DType.FLOAT32,
            "F16", DType.FLOAT16,
            "BF16", DType.BFLOAT16,
            "F64", DType.FLOAT64,
            "I64", DType.INT64,
            "I32", DType.INT32,
            "I16", DType.INT16,
            "I8", DType.INT8,
            "U8", DType.UINT8,
            "BOOL", DType.BOOL);

    private final CheckpointFile file;
    private final long dataStart;
    private final Map<String, TensorLocation> tensors = new LinkedHashMap<>();

    private Safetensors(CheckpointFile file, long dataStart) {
        this.file = file;
        this.dataStart = dataStart;
    }

    /**
     * Locates the tensors of a file; no tensor is read.
     *
     * @return tensors by name, in the header's order, unmodifiable
     * @throws CheckpointException if the file can't be read or anything in its header contradicts the file
     */
    public static Map<String, TensorLocation> read(Path path) {
        try (CheckpointFile file = CheckpointFile.open(path)) {
            if (file.size() < LENGTH_BYTES) {
                throw file.error(
                        "has %,d bytes; a safetensors file begins with %d bytes that give the length of its header.",
                        file.size(), LENGTH_BYTES);
            }
            long headerBytes = file.read(0, LENGTH_BYTES).getLong();
            if (headerBytes < 0 || headerBytes > MAX_HEADER_BYTES) {
                throw file.error(
                        "announces a header of %s bytes; at most %,d are accepted. It is not a safetensors file, or "
                                + "damaged.",
                        Long.toUnsignedString(headerBytes), MAX_HEADER_BYTES);
            }
            if (headerBytes > file.size() - LENGTH_BYTES) {
                throw file.error(
                        "announces a header of %,d bytes but has only %,d bytes after the length. The download is "
                                + "probably incomplete: delete the file and load again.",
                        headerBytes, file.size() - LENGTH_BYTES);
            }
            Safetensors reader = new Safetensors(file, LENGTH_BYTES + headerBytes);
            reader.readHeader(headerBytes);
            reader.requireFullCover();
            return Collections.unmodifiableMap(reader.tensors);
        }
    }

    private void readHeader(long headerBytes) {
        try (JsonReader json = file.json(LENGTH_BYTES, headerBytes)) {
            if (json.peek() != JsonToken.BEGIN_OBJECT) {
                throw file.error("has a header that is not a JSON object. It is not a safetensors file, or damaged.");
            }
            json.beginObject();
            while (json.hasNext()) {
                String name = json.nextName();
                if (name.equals(METADATA)) {
                    json.skipValue();
                } else {
                    readTensor(json, name);
                }
            }
            json.endObject();
            if (json.peek() != JsonToken.END_DOCUMENT) {
                throw file.error("has more than one JSON object in its header. It is damaged.");
            }
        } catch (IOException | IllegalStateException e) {
            throw CheckpointFile.notJson(file.path(), "the header (is it a safetensors file?)", e);
        }
    }

    private void readTensor(JsonReader json, String name) throws IOException {
        TensorLocation.requireSaneName(name, file.path());
        String dtypeName = null;
        List<Long> shape = null;
        List<Long> range = null;
        json.beginObject();
        while (json.hasNext()) {
            switch (json.nextName()) {
                case "dtype" -> dtypeName = json.nextString();
                case "shape" -> shape = readSizes(json, name, TensorLocation.MAX_DIMENSIONS);
                case "data_offsets" -> range = readSizes(json, name, 2);
                default -> json.skipValue();
            }
        }
        json.endObject();
        if (dtypeName == null || shape == null || range == null || range.size() != 2) {
            throw file.error("tensor '%s' needs dtype, shape and two data_offsets. The file is damaged.", name);
        }
        DType dtype = DTYPES.get(dtypeName);
        if (dtype == null) {
            throw file.error(
                    "tensor '%s' has the dtype '%s', which is not supported; supported: %s.",
                    name,
                    dtypeName,
                    String.join(", ", DTYPES.keySet().stream().sorted().toList()));
        }
        long begin = range.get(0);
        long end = range.get(1);
        long dataBytes = file.size() - dataStart;
        if (begin > end) {
            throw file.error(
                    "tensor '%s' begins at byte %,d but ends at byte %,d. The file is damaged.", name, begin, end);
        }
        if (end > dataBytes) {
            throw file.error(
                    "tensor '%s' ends at byte %,d of the data but the file has %,d. The download is probably "
                            + "incomplete: delete the file and load again.",
                    name, end, dataBytes);
        }
        long bytes;
        List<Long> strides;
        try {
            bytes = Math.multiplyExact(TensorLocation.productOf(shape), (long) dtype.bytes());
            strides = TensorLocation.contiguousStrides(shape);
        } catch (ArithmeticException overflow) {
            throw file.error("tensor '%s' is too large to exist: shape %s.", name, shape);
        }
        if (bytes != end - begin) {
            throw file.error(
                    "tensor '%s' of shape %s and dtype %s needs %,d bytes but data_offsets give it %,d. "
                            + "The file is damaged.",
                    name, shape, dtypeName, bytes, end - begin);
        }
        if (tensors.size() == MAX_TENSORS) {
            throw file.error("has more than %,d tensors, which is more than any model needs.", MAX_TENSORS);
        }
        var location = new TensorLocation(name, file.path(), dataStart + begin, end - begin, dtype, shape, strides);
        if (tensors.put(name, location) != null) {
            throw file.error("names the tensor '%s' twice. The file is damaged.", name);
        }
    }

    private List<Long> readSizes(JsonReader json, String name, int atMost) throws IOException {
        List<Long> sizes = new ArrayList<>();
        json.beginArray();
        while (json.hasNext()) {
            String number = json.peek() == JsonToken.NUMBER ? json.nextString() : "";
            if (!number.matches("[0-9]{1,18}") || sizes.size() == atMost) {
                throw file.error(
                        "tensor '%s' has a shape or data_offsets that are not at most %d whole numbers. "
                                + "The file is damaged.",
                        name, atMost);
            }
            sizes.add(Long.parseLong(number));
        }
        json.endArray();
        return sizes;
    }

    private void requireFullCover() {
        List<TensorLocation> byOffset = new ArrayList<>(tensors.values());
        byOffset.sort(Comparator.comparingLong(TensorLocation::offset).thenComparingLong(TensorLocation::length));
        long covered = dataStart;
        for (TensorLocation tensor : byOffset) {
            if (tensor.offset() < covered) {
                throw file.error("tensor '%s' overlaps another one. The file is damaged.", tensor.name());
            }
            if (tensor.offset() > covered) {
                throw file.error(
                        "%,d bytes before tensor '%s' belong to no tensor. The file is damaged.",
                        tensor.offset() - covered, tensor.name());
            }
            covered += tensor.length();
        }
        if (covered != file.size()) {
            throw file.error(
                    "%,d bytes after the last tensor belong to no tensor. The file is damaged.", file.size() - covered);
        }
    }
}
