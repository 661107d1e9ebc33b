package org.dolly4j.runtime;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.ToIntBiFunction;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.PointerPointer;
import org.dolly4j.BackendException;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.model.Activation;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.SlotRows;
import org.dolly4j.model.WeightSlot;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The weights of a model in native memory. Thread-safe. */
public final class DecoderModel implements AutoCloseable {
    /** Numbers that the native side takes for a run. */
    private static final int RUN_FIELDS = 3;

    private static final Logger LOG = LoggerFactory.getLogger(DecoderModel.class);

    /** Most of a file that a thread reads in one go. */
    private static final long STRETCH_BYTES = 256L << 20;

    /** Least stretches for each thread, so that all end at about the same time. */
    private static final int STRETCHES_OF_A_THREAD = 4;

    private final DecoderSpec spec;
    private final ModelOptions options;
    private final int threads;
    private final ModelHandle handle;
    private final long weightBytes;
    private final long blockBytes;
    private final Optional<Path> mappedFile;
    private int sessions;
    private boolean closed;
    private boolean freed;

    private DecoderModel(
            DecoderSpec spec, ModelOptions options, int threads, ModelHandle handle, Optional<Path> mappedFile) {
        this.spec = spec;
        this.options = options;
        this.threads = threads;
        this.handle = handle;
        this.mappedFile = mappedFile;
        try (NativeMemory memory = new NativeMemory()) {
            NativeLibrary.check(NativeApi.d4j_model_memory(handle, memory));
            weightBytes = memory.weight_bytes();
            blockBytes = memory.block_bytes();
        }
    }

    /**
     * Loads weights.
     *
     * @param spec shape of the decoder
     * @param rows where every slot of the spec comes from
     * @param options how to hold and run it
     * @throws CheckpointException if weights are missing, out of bounds, or not finite
     * @throws BackendException if the backend or device is not available, or memory is short
     */
    public static DecoderModel load(DecoderSpec spec, List<SlotRows> rows, ModelOptions options) {
        return load(spec, rows, options, 0, Optional.empty(), () -> false);
    }

    /**
     * As {@link #load(DecoderSpec, List, ModelOptions)}, for sessions whose size is known.
     *
     * @param kvBlocks KV blocks that they will have in all: if memory is too short for weights and cache, that is said
     *     before anything is read
     * @param cache where packed weights of the kernels are looked for and kept, or empty to do neither
     * @param isGivenUp asked before every tensor by the threads that load them; true ends loading
     * @throws CancellationException if it was given up
     */
    public static DecoderModel load(
            DecoderSpec spec,
            List<SlotRows> rows,
            ModelOptions options,
            int kvBlocks,
            Optional<WeightCache> cache,
            BooleanSupplier isGivenUp) {
        switch (options.backend()) {
            case KERNELS -> NativeLibrary.load();
            case LIBTORCH -> NativeLibrary.attachLibtorch(options.threads());
        }
        int threads = options.threads() == 0 ? NativeLibrary.defaultThreads() : options.threads();
        Optional<WeightCacheEntry> entry = options.backend() == Backend.KERNELS
                ? cache.flatMap(folder -> WeightCacheEntry.of(folder, spec, rows, options))
                : Optional.empty();
        Optional<WeightCacheEntry.Mapped> mapped = entry.flatMap(one -> one.map(threads));
        ModelHandle handle =
                mapped.map(WeightCacheEntry.Mapped::handle).orElseGet(() -> create(spec, options, threads));
        try {
            NativeLibrary.check(NativeApi.d4j_model_check_memory(handle, kvBlocks));
            if (mapped.isEmpty()) {
                if (options.dtype().isQuantised()) {
                    forAllRows(handle, rows, threads, isGivenUp, NativeApi::d4j_model_observe_rows);
                }
                forAllRows(handle, rows, threads, isGivenUp, NativeApi::d4j_model_load_rows);
            }
            Optional<Path> saved = finish(handle, mapped.isEmpty() ? entry : Optional.empty());
            int running = options.backend() == Backend.LIBTORCH
                    ? NativeLibrary.buildInfo().libtorchThreads()
                    : threads;
            Optional<Path> file = mapped.map(WeightCacheEntry.Mapped::file).or(() -> saved);
            DecoderModel model = new DecoderModel(spec, options, running, handle, file);
            model.warnIfPagesWillBeDropped(kvBlocks);
            return model;
        } catch (RuntimeException | Error e) {
            NativeApi.d4j_model_free(handle);
            throw e;
        }
    }

    /** Whether {@link #load} would find packed weights in a cache, and read nothing of the checkpoint's. */
    public static boolean isCached(DecoderSpec spec, List<SlotRows> rows, ModelOptions options, WeightCache cache) {
        NativeLibrary.load();
        return options.backend() == Backend.KERNELS
                && WeightCacheEntry.of(cache, spec, rows, options)
                        .filter(WeightCacheEntry::isFound)
                        .isPresent();
    }

    /** Ends loading; keeps the weights in the cache before, if they are to be kept, and returns their file. */
    private static Optional<Path> finish(ModelHandle handle, Optional<WeightCacheEntry> entry) {
        try {
            Optional<Path> file = entry.flatMap(one -> one.save(handle));
            NativeLibrary.check(NativeApi.d4j_model_finish(handle));
            return file;
        } catch (IllegalArgumentException e) {
            throw new CheckpointException("The checkpoint is not complete: " + e.getMessage(), e);
        }
    }

    private static ModelHandle create(DecoderSpec spec, ModelOptions options, int threads) {
        try (NativeSpec nativeSpec = nativeSpec(spec);
                NativeModelOptions nativeOptions = nativeOptions(options, threads);
                PointerPointer<ModelHandle> result = new PointerPointer<>(1)) {
            NativeLibrary.check(NativeApi.d4j_model_create(nativeSpec, nativeOptions, result));
            return result.get(ModelHandle.class);
        }
    }

    static NativeModelOptions nativeOptions(ModelOptions options, int threads) {
        return new NativeModelOptions()
                .backend(
                        switch (options.backend()) {
                            case KERNELS -> NativeApi.D4J_BACKEND_KERNELS;
                            case LIBTORCH -> NativeApi.D4J_BACKEND_LIBTORCH;
                        })
                .weight_type(
                        switch (options.dtype()) {
                            case FLOAT32 -> NativeApi.D4J_FLOAT32;
                            case BFLOAT16 -> NativeApi.D4J_BFLOAT16;
                            case INT8 -> NativeApi.D4J_INT8;
                            case INT4 -> NativeApi.D4J_INT4;
                        })
                .kv_type(
                        switch (options.kvCacheDtype()) {
                            case FLOAT32 -> NativeApi.D4J_FLOAT32;
                            case BFLOAT16 -> NativeApi.D4J_BFLOAT16;
                        })
                .cuda_device(options.cudaDevice())
                .threads(threads)
                .portable_bits(flag(options.portableBits()));
    }

    static NativeSpec nativeSpec(DecoderSpec spec) {
        return new NativeSpec()
                .layers(spec.layers())
                .hidden_size(spec.hiddenSize())
                .heads(spec.heads())
                .head_size(spec.headSize())
                .ffn_size(spec.ffnSize())
                .vocab_size(spec.vocabSize())
                .context_length(spec.contextLength())
                .rotary_dims(spec.rotaryDims())
                .rotary_base(spec.rotaryBase())
                .norm_epsilon(spec.normEpsilon())
                .activation(spec.activation() == Activation.GELU_ERF ? NativeApi.D4J_GELU_ERF : NativeApi.D4J_GELU_TANH)
                .parallel_residual(flag(spec.parallelResidual()))
                .shared_norm(flag(spec.sharedNorm()))
                .attention_bias(flag(spec.attentionBias()))
                .ffn_bias(flag(spec.ffnBias()))
                .head_bias(flag(spec.headBias()))
                .tied_head(flag(spec.tiedHead()));
    }

    private static int flag(boolean value) {
        return value ? 1 : 0;
    }

    /** Calls native code for tensors in parallel; the first failure ends the rest and is thrown. */
    private static void forAllRows(
            ModelHandle handle,
            List<SlotRows> rows,
            int threads,
            BooleanSupplier isGivenUp,
            ToIntBiFunction<ModelHandle, NativeRows> function) {
        ExecutorService pool = Executors.newFixedThreadPool(threads, task -> {
            Thread thread = new Thread(task, "dolly4j-load");
            thread.setDaemon(true);
            return thread;
        });
        try {
            List<Future<?>> futures = new ArrayList<>();
            for (List<SlotRows> stretch : stretches(rows, threads)) {
                futures.add(pool.submit(() -> {
                    for (SlotRows part : stretch) {
                        if (isGivenUp.getAsBoolean() || pool.isShutdown()) {
                            throw new CancellationException("Loading the weights was given up");
                        }
                        forRows(handle, part, function);
                    }
                }));
            }
            for (Future<?> future : futures) {
                future.get();
            }
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new BackendException("Loading the weights failed: " + e.getCause(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BackendException("Loading the weights was interrupted", e);
        } finally {
            pool.shutdownNow();
            awaitEnd(pool);
        }
    }

    /**
     * The tensors in the order of the files, in stretches for a thread each. Threads that read far apart from each
     * other, each one place after the other, are up to twice as fast as those that take turns at every tensor.
     */
    private static List<List<SlotRows>> stretches(List<SlotRows> rows, int threads) {
        long total = 0;
        for (SlotRows part : rows) {
            total += part.source().length();
        }
        long most = Math.min(STRETCH_BYTES, total / threads / STRETCHES_OF_A_THREAD);
        List<SlotRows> inOrder = new ArrayList<>(rows);
        inOrder.sort(Comparator.comparing((SlotRows part) -> part.source().path())
                .thenComparingLong(part -> part.source().offset()));
        List<List<SlotRows>> stretches = new ArrayList<>();
        long bytes = most;
        for (SlotRows part : inOrder) {
            if (bytes >= most) {
                stretches.add(new ArrayList<>());
                bytes = 0;
            }
            stretches.get(stretches.size() - 1).add(part);
            bytes += part.source().length();
        }
        return stretches;
    }

    /** Waits until no thread of the pool touches the model any more, interrupted or not. */
    private static void awaitEnd(ExecutorService pool) {
        boolean interrupted = false;
        while (true) {
            try {
                if (pool.awaitTermination(1, TimeUnit.HOURS)) {
                    break;
                }
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static void forRows(ModelHandle handle, SlotRows part, ToIntBiFunction<ModelHandle, NativeRows> function) {
        TensorLocation source = part.source();
        int dims = source.shape().size();
        if (dims < 1 || dims > 2) {
            throw new CheckpointException(
                    source.path() + ": tensor '" + source.name() + "' has " + dims + " dimensions; expected 1 or 2");
        }
        int[] runs = nativeRuns(part.runs());
        try (BytePointer name = new BytePointer(source.name(), StandardCharsets.UTF_8);
                BytePointer path = NativeLibrary.path(source.path().toString());
                IntPointer runPointer = new IntPointer(runs);
                NativeRows nativeRows = new NativeRows()) {
            nativeRows
                    .name(name)
                    .path(path)
                    .offset(source.offset())
                    .rows(source.shape().get(0))
                    .columns(dims == 2 ? source.shape().get(1) : 1)
                    .row_stride(source.strides().get(0))
                    .column_stride(dims == 2 ? source.strides().get(1) : 1)
                    .dtype(nativeType(source))
                    .slot(nativeSlot(part.slot()))
                    .layer(part.layer())
                    .run_count(runs.length / RUN_FIELDS)
                    .runs(runPointer);
            NativeLibrary.check(function.applyAsInt(handle, nativeRows));
        }
    }

    /** Source row, slot row and count of runs of rows that follow each other. */
    private static int[] nativeRuns(List<SlotRows.Run> runs) {
        IntStream.Builder fields = IntStream.builder();
        for (SlotRows.Run run : runs) {
            boolean isWhole = run.sourceStep() == 1;
            int pieces = isWhole ? 1 : run.count();
            for (int i = 0; i < pieces; i++) {
                fields.add(run.sourceRow() + i * run.sourceStep());
                fields.add(run.slotRow() + i);
                fields.add(isWhole ? run.count() : 1);
            }
        }
        return fields.build().toArray();
    }

    private static int nativeType(TensorLocation source) {
        return switch (source.dtype()) {
            case FLOAT32 -> NativeApi.D4J_FLOAT32;
            case BFLOAT16 -> NativeApi.D4J_BFLOAT16;
            case FLOAT16 -> NativeApi.D4J_FLOAT16;
            case FLOAT64, INT64, INT32, INT16, INT8, UINT8, BOOL ->
                throw new CheckpointException(source.path() + ": tensor '" + source.name() + "' has the element type "
                        + source.dtype() + "; expected one of " + DType.FLOAT32 + ", " + DType.BFLOAT16 + ", "
                        + DType.FLOAT16);
        };
    }

    private static int nativeSlot(WeightSlot slot) {
        return switch (slot) {
            case EMBEDDING -> NativeApi.D4J_EMBEDDING;
            case ATTENTION_NORM_WEIGHT -> NativeApi.D4J_ATTENTION_NORM_WEIGHT;
            case ATTENTION_NORM_BIAS -> NativeApi.D4J_ATTENTION_NORM_BIAS;
            case FFN_NORM_WEIGHT -> NativeApi.D4J_FFN_NORM_WEIGHT;
            case FFN_NORM_BIAS -> NativeApi.D4J_FFN_NORM_BIAS;
            case QKV_WEIGHT -> NativeApi.D4J_QKV_WEIGHT;
            case QKV_BIAS -> NativeApi.D4J_QKV_BIAS;
            case DENSE_WEIGHT -> NativeApi.D4J_DENSE_WEIGHT;
            case DENSE_BIAS -> NativeApi.D4J_DENSE_BIAS;
            case FC1_WEIGHT -> NativeApi.D4J_FC1_WEIGHT;
            case FC1_BIAS -> NativeApi.D4J_FC1_BIAS;
            case FC2_WEIGHT -> NativeApi.D4J_FC2_WEIGHT;
            case FC2_BIAS -> NativeApi.D4J_FC2_BIAS;
            case FINAL_NORM_WEIGHT -> NativeApi.D4J_FINAL_NORM_WEIGHT;
            case FINAL_NORM_BIAS -> NativeApi.D4J_FINAL_NORM_BIAS;
            case HEAD_WEIGHT -> NativeApi.D4J_HEAD_WEIGHT;
            case HEAD_BIAS -> NativeApi.D4J_HEAD_BIAS;
        };
    }

    /** Mapped weights are page cache, which the system drops where memory is short and reads again when it is used. */
    private void warnIfPagesWillBeDropped(int kvBlocks) {
        long needed = weightBytes + kvBlocks * blockBytes;
        if (mappedFile.isPresent() && needed > availableBytes()) {
            LOG.warn(
                    "Weights and KV cache take {} MB, but only {} MB of memory are available: weights will be read from"
                            + " disk again and again, and all will be slow",
                    needed >> 20,
                    availableBytes() >> 20);
        }
    }

    private long availableBytes() {
        try (NativeMemory memory = new NativeMemory()) {
            NativeLibrary.check(NativeApi.d4j_model_memory(handle, memory));
            return memory.available_bytes();
        }
    }

    /** Shape of the decoder. */
    public DecoderSpec spec() {
        return spec;
    }

    /** How it is held and run. */
    public ModelOptions options() {
        return options;
    }

    /** CPU threads that a step runs on. */
    public int threads() {
        return threads;
    }

    /** The file of the cache that the weights are mapped from; none if they are in memory of this process alone. */
    public Optional<Path> mappedFile() {
        return mappedFile;
    }

    /** Bytes of native memory that the weights take. */
    public long weightBytes() {
        return weightBytes;
    }

    /** Bytes of KV cache per block of {@link DecoderSession#BLOCK_SIZE} tokens. */
    public long blockBytes() {
        return blockBytes;
    }

    /**
     * Makes a session.
     *
     * @param blocks KV blocks of {@link DecoderSession#BLOCK_SIZE} tokens
     * @param maxRows most rows of a step
     * @param maxLogitsRows most rows of a step that want logits
     * @throws IllegalArgumentException if a number is out of range
     * @throws IllegalStateException after close
     * @throws BackendException if there is no memory for the KV cache
     */
    public synchronized DecoderSession newSession(int blocks, int maxRows, int maxLogitsRows) {
        if (closed) {
            throw new IllegalStateException("The model is closed");
        }
        NativeSession session = NativeSession.create(this, handle, blocks, maxRows, maxLogitsRows);
        sessions++;
        return session;
    }

    synchronized void sessionClosed() {
        sessions--;
        freeIfUnused();
    }

    /** Frees the weights once no session uses them; idempotent. */
    @Override
    public synchronized void close() {
        closed = true;
        freeIfUnused();
    }

    private void freeIfUnused() {
        if (closed && sessions == 0 && !freed) {
            freed = true;
            NativeApi.d4j_model_free(handle);
        }
    }
}
