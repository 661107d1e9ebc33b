package org.dolly4j.checkpoint;

import java.io.InputStream;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Gives a pickled PyTorch state dict its meaning: the globals it needs, tensors as views of storages, and where the
 * storages lie. Source: {@code torch.serialization._legacy_save / _save} and {@code torch._utils}.
 */
final class StateDictPickle implements Unpickler.Meaning {
    /** Longest pickle accepted, that of some hundred thousand tensors. */
    static final long MAX_BYTES = 32L << 20;

    /** Finds the bytes of a storage. */
    interface Storages {
        /**
         * First byte in the file of the storage.
         *
         * @throws org.dolly4j.CheckpointException if it is not there or has another size
         */
        long offset(Storage storage);
    }

    /**
     * Elements that tensors are views of.
     *
     * @param key what the file calls it
     * @param dtype element type
     * @param elements how many it must have
     */
    record Storage(String key, DType dtype, long elements) {
        /** Its size. */
        long bytes() {
            return elements * dtype.bytes();
        }
    }

    /** A tensor before its name is known. */
    private record View(Storage storage, long firstElement, List<Long> shape, List<Long> strides) {}

    /** What may be called. */
    private enum Callable {
        ORDERED_DICT("collections.OrderedDict"),
        REBUILD_TENSOR("torch._utils._rebuild_tensor_v2"),
        REBUILD_PARAMETER("torch._utils._rebuild_parameter");

        private final String globalName;

        Callable(String globalName) {
            this.globalName = globalName;
        }

        @Override
        public String toString() {
            return globalName;
        }
    }

    private static final Map<String, Callable> CALLABLES = Map.of(
            Callable.ORDERED_DICT.globalName, Callable.ORDERED_DICT,
            Callable.REBUILD_TENSOR.globalName, Callable.REBUILD_TENSOR,
            Callable.REBUILD_PARAMETER.globalName, Callable.REBUILD_PARAMETER);

    private static final Map<String, DType> STORAGE_TYPES = Map.of(
            "torch.FloatStorage", DType.FLOAT32,
            "torch.HalfStorage", DType.FLOAT16,
            "torch.BFloat16Storage", DType.BFLOAT16,
            "torch.DoubleStorage", DType.FLOAT64,
            "torch.LongStorage", DType.INT64,
            "torch.IntStorage", DType.INT32,
            "torch.ShortStorage", DType.INT16,
            "torch.CharStorage", DType.INT8,
            "torch.ByteStorage", DType.UINT8,
            "torch.BoolStorage", DType.BOOL);

    private final CheckpointFile file;
    private final String entry;
    private final Map<String, Storage> storages = new LinkedHashMap<>();
    private Map<?, ?> dict = Map.of();

    private StateDictPickle(CheckpointFile file, String entry) {
        this.file = file;
        this.entry = entry;
    }

    /**
     * Reads the pickle of a state dict.
     *
     * @param file file that holds pickle and storages
     * @param entry what the pickle is called, for messages
     * @param pickle the pickle, buffered
     * @throws org.dolly4j.CheckpointException if it is anything but a dict of tensors
     */
    static StateDictPickle read(CheckpointFile file, String entry, InputStream pickle) {
        var stateDict = new StateDictPickle(file, entry);
        Object root = new Unpickler(file, entry, pickle, stateDict).load();
        if (!(root instanceof Map<?, ?> dict)) {
            throw file.error(
                    "%s holds %s; a state dict (a dict of tensors) is expected.", entry, Unpickler.describe(root));
        }
        stateDict.dict = dict;
        return stateDict;
    }

    /** The storages that it refers to, by key. */
    Map<String, Storage> storages() {
        return Collections.unmodifiableMap(storages);
    }

    /**
     * Locates its tensors.
     *
     * @param offsets finds storages in the file
     * @return tensors by name, in the pickle's order, unmodifiable
     * @throws org.dolly4j.CheckpointException if a storage is not in the file or a tensor not inside of its storage
     */
    Map<String, TensorLocation> tensors(Storages offsets) {
        Map<String, TensorLocation> tensors = new LinkedHashMap<>();
        dict.forEach((name, value) -> tensors.put(String.valueOf(name), place(name, value, offsets)));
        return Collections.unmodifiableMap(tensors);
    }

    @Override
    public Object global(String module, String name) {
        String globalName = module + "." + name;
        Object callable = CALLABLES.get(globalName);
        return callable != null ? callable : STORAGE_TYPES.get(globalName);
    }

    @Override
    public Object call(Object callable, List<?> arguments) {
        if (!(callable instanceof Callable known)) {
            return null;
        }
        return switch (known) {
            case ORDERED_DICT -> arguments.isEmpty() ? new LinkedHashMap<>() : null;
            case REBUILD_TENSOR -> rebuildTensor(arguments);
            // (data, requires_grad, backward_hooks)
            case REBUILD_PARAMETER -> arguments.size() == 3 && arguments.get(0) instanceof View data ? data : null;
        };
    }

    /** (storage, storage offset, sizes, strides, requires_grad, backward_hooks[, metadata]), in elements. */
    private static View rebuildTensor(List<?> arguments) {
        if (arguments.size() < 6
                || arguments.size() > 7
                || !(arguments.get(0) instanceof Storage storage)
                || !(arguments.get(1) instanceof Long firstElement)
                || !(arguments.get(2) instanceof List<?> shape)
                || !(arguments.get(3) instanceof List<?> strides)
                || !allLong(shape)
                || !allLong(strides)) {
            return null;
        }
        return new View(storage, firstElement, longs(shape), longs(strides));
    }

    /**
     * ("storage", storage type, key, device it was on, number of elements), before PyTorch 1.6 also a part of the
     * storage, which PyTorch does not write since 0.4.
     */
    @Override
    public Object persistent(Object id) {
        if (!(id instanceof List<?> parts)
                || parts.size() < 5
                || parts.size() > 6
                || (parts.size() == 6 && parts.get(5) != Unpickler.NONE)
                || !"storage".equals(parts.get(0))
                || !(parts.get(1) instanceof DType dtype)
                || !(parts.get(2) instanceof String key)
                || !(parts.get(4) instanceof Long elements)) {
            return null;
        }
        if (elements < 0 || elements > Long.MAX_VALUE / dtype.bytes()) {
            throw file.error("%s: storage '%s' has %d elements. The file is damaged.", entry, key, elements);
        }
        Storage storage = new Storage(key, dtype, elements);
        Storage other = storages.putIfAbsent(key, storage);
        if (other != null && !other.equals(storage)) {
            throw file.error("%s describes the storage '%s' in two ways. The file is damaged.", entry, key);
        }
        return storage;
    }

    private TensorLocation place(Object key, Object value, Storages offsets) {
        if (!(key instanceof String name) || !(value instanceof View view)) {
            throw file.error(
                    "%s has %s under '%s'; a state dict holds only tensors. Save model.state_dict() alone.",
                    entry, Unpickler.describe(value), String.valueOf(key));
        }
        TensorLocation.requireSaneName(name, file.path());
        return TensorLocation.inRun(
                name,
                file.path(),
                offsets.offset(view.storage),
                view.storage.bytes(),
                view.storage.dtype,
                view.firstElement,
                view.shape,
                view.strides);
    }

    private static boolean allLong(List<?> values) {
        return values.size() <= TensorLocation.MAX_DIMENSIONS && values.stream().allMatch(Long.class::isInstance);
    }

    private static List<Long> longs(List<?> values) {
        return values.stream().map(Long.class::cast).toList();
    }
}
