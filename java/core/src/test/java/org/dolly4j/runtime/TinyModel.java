package org.dolly4j.runtime;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.model.Activation;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.SlotRows;
import org.dolly4j.model.WeightSlot;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;

/** A decoder of a few thousand random float32 weights, in one file that tests may spoil. */
final class TinyModel {
    static final DecoderSpec SPEC = new DecoderSpec(
            2, 24, 2, 12, 40, 50, 128, 4, 10_000, Activation.GELU_ERF, 1e-5, true, false, true, true, false, false);

    private final Backend backend;
    private final Path file;
    private final List<SlotRows> rows = new ArrayList<>();

    /** For the default backend. */
    TinyModel(Path folder) {
        this(folder, Backend.KERNELS);
    }

    TinyModel(Path folder, Backend backend) {
        this(folder, backend, true);
    }

    /** In a folder that is deleted when this process ends. */
    static TinyModel temporary(Backend backend) throws IOException {
        Path folder = Files.createTempDirectory("dolly4j-tiny");
        folder.toFile().deleteOnExit();
        TinyModel made = new TinyModel(folder, backend);
        made.file.toFile().deleteOnExit(); // before the folder: the last one goes first
        return made;
    }

    /** What another process has written to a folder. */
    static TinyModel in(Path folder) {
        return new TinyModel(folder, Backend.KERNELS, false);
    }

    private TinyModel(Path folder, Backend backend, boolean writes) {
        this.backend = backend;
        file = folder.resolve("weights");
        List<float[]> tensors = new ArrayList<>();
        Random random = new Random(1);
        long offset = 0;
        for (WeightSlot slot : WeightSlot.values()) {
            int layers = perLayer(slot) ? SPEC.layers() : 1;
            for (int layer = 0; slot != WeightSlot.HEAD_BIAS && layer < layers; layer++) {
                int[] shape = shape(slot);
                float[] values = new float[shape[0] * shape[1]];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) random.nextGaussian() * 0.2f;
                }
                TensorLocation location = new TensorLocation(
                        slot + "." + layer,
                        file,
                        offset,
                        (long) values.length * Float.BYTES,
                        DType.FLOAT32,
                        List.of((long) shape[0], (long) shape[1]),
                        List.of((long) shape[1], 1L));
                rows.add(new SlotRows(location, slot, layer, List.of(new SlotRows.Run(0, 0, shape[0]))));
                tensors.add(values);
                offset += location.length();
            }
        }
        ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(offset)).order(ByteOrder.LITTLE_ENDIAN);
        for (float[] values : tensors) {
            for (float value : values) {
                bytes.putFloat(value);
            }
        }
        if (writes) {
            write(bytes.array());
        }
    }

    Path file() {
        return file;
    }

    List<SlotRows> rows() {
        return List.copyOf(rows);
    }

    SlotRows rowsOf(WeightSlot slot, int layer) {
        return rows.stream()
                .filter(part -> part.slot() == slot && part.layer() == layer)
                .findFirst()
                .orElseThrow();
    }

    void overwrite(TensorLocation tensor, int element, float value) {
        byte[] bytes = read();
        ByteBuffer.wrap(bytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(Math.toIntExact(tensor.offset()) + element * Float.BYTES, value);
        write(bytes);
    }

    byte[] read() {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    void write(byte[] bytes) {
        try {
            Files.write(file, bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    DecoderModel load() {
        return load(rows());
    }

    DecoderModel load(int threads) {
        return load(rows(), threads);
    }

    DecoderModel load(List<SlotRows> parts) {
        return load(parts, 2);
    }

    private DecoderModel load(List<SlotRows> parts, int threads) {
        return DecoderModel.load(SPEC, parts, new ModelOptions(WeightType.FLOAT32, backend, "cpu", threads, false));
    }

    /** Loads with the kernels and a cache of packed weights. */
    DecoderModel load(WeightType type, WeightCache cache) {
        return DecoderModel.load(SPEC, rows(), kernels(type), 8, Optional.of(cache), () -> false);
    }

    /** Options of the kernels. */
    static ModelOptions kernels(WeightType type) {
        return new ModelOptions(type, Backend.KERNELS, "cpu", 2, false);
    }

    private static boolean perLayer(WeightSlot slot) {
        return switch (slot) {
            case EMBEDDING, FINAL_NORM_WEIGHT, FINAL_NORM_BIAS, HEAD_WEIGHT, HEAD_BIAS -> false;
            default -> true;
        };
    }

    private static int[] shape(WeightSlot slot) {
        int hidden = SPEC.hiddenSize();
        return switch (slot) {
            case EMBEDDING, HEAD_WEIGHT -> new int[] {SPEC.vocabSize(), hidden};
            case QKV_WEIGHT -> new int[] {3 * hidden, hidden};
            case QKV_BIAS -> new int[] {3 * hidden, 1};
            case DENSE_WEIGHT -> new int[] {hidden, hidden};
            case FC1_WEIGHT -> new int[] {SPEC.ffnSize(), hidden};
            case FC1_BIAS -> new int[] {SPEC.ffnSize(), 1};
            case FC2_WEIGHT -> new int[] {hidden, SPEC.ffnSize()};
            default -> new int[] {hidden, 1};
        };
    }
}
