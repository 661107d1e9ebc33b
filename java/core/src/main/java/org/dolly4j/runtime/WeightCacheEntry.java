package org.dolly4j.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;
import org.dolly4j.BackendException;
import org.dolly4j.CheckpointException;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.SlotRows;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The packed weights of one model in the cache, there or not. */
final class WeightCacheEntry {
    private static final Logger LOG = LoggerFactory.getLogger(WeightCacheEntry.class);

    private final WeightCache cache;
    private final DecoderSpec spec;
    private final List<SlotRows> rows;
    private final ModelOptions options;
    private final WeightKey key;

    private WeightCacheEntry(
            WeightCache cache, DecoderSpec spec, List<SlotRows> rows, ModelOptions options, WeightKey key) {
        this.cache = cache;
        this.spec = spec;
        this.rows = rows;
        this.options = options;
        this.key = key;
    }

    /** The entry of a model; none if a file of its weights cannot be found, which loading them will say. */
    static Optional<WeightCacheEntry> of(
            WeightCache cache, DecoderSpec spec, List<SlotRows> rows, ModelOptions options) {
        try {
            return Optional.of(new WeightCacheEntry(cache, spec, rows, options, WeightKey.of(spec, rows, options)));
        } catch (IOException e) {
            LOG.debug("The weights are not cached: {}", e.toString());
            return Optional.empty();
        }
    }

    /** Whether there is a file of it, damaged or not. */
    boolean isFound() {
        return cache.find(key).isPresent();
    }

    /** A model and the file that its weights are mapped from. */
    record Mapped(ModelHandle handle, Path file) {}

    /** Maps the weights; none if they are not there, or damaged, which is logged. */
    Optional<Mapped> map(int threads) {
        return cache.find(key).flatMap(file -> map(file, threads));
    }

    private Optional<Mapped> map(Path file, int threads) {
        try (NativeSpec nativeSpec = DecoderModel.nativeSpec(spec);
                NativeModelOptions nativeOptions = DecoderModel.nativeOptions(options, threads);
                BytePointer path = NativeLibrary.path(file.toString());
                BytePointer keyText = new BytePointer(key.text(), UTF_8);
                PointerPointer<ModelHandle> result = new PointerPointer<>(1)) {
            NativeLibrary.check(NativeApi.d4j_model_map(nativeSpec, nativeOptions, path, keyText, result));
            cache.touch(file);
            LOG.debug("Mapped the packed weights of {}", file);
            return Optional.of(new Mapped(result.get(ModelHandle.class), file));
        } catch (CheckpointException | BackendException e) {
            LOG.warn(
                    "The weights are loaded from the checkpoint, since those in the cache cannot be used: {}",
                    e.getMessage());
            return Optional.empty();
        }
    }

    /**
     * Keeps the weights of a model of which all rows are loaded, and maps them.
     *
     * @return the file that they are mapped from; none if they are still in memory
     */
    Optional<Path> save(ModelHandle handle) {
        if (!of(cache, spec, rows, options).map(now -> now.key).equals(Optional.of(key))) {
            LOG.warn("The weights are not cached: their files were changed while they were loaded");
            return Optional.empty();
        }
        Path model = rows.get(0).source().path().toAbsolutePath().getParent();
        String dtype = options.dtype().name().toLowerCase(Locale.ROOT);
        String description = new CachedWeights.Origin(model.toString(), dtype).toJson();
        return cache.save(key, weightBytes(handle), file -> {
            try (BytePointer path = NativeLibrary.path(file.toString());
                    BytePointer keyText = new BytePointer(key.text(), UTF_8);
                    BytePointer text = new BytePointer(description, UTF_8)) {
                NativeLibrary.check(NativeApi.d4j_model_save(handle, path, keyText, text));
            }
        });
    }

    private static long weightBytes(ModelHandle handle) {
        try (NativeMemory memory = new NativeMemory()) {
            NativeLibrary.check(NativeApi.d4j_model_memory(handle, memory));
            return memory.weight_bytes();
        }
    }
}
