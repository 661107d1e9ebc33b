package org.dolly4j.runtime;

import java.util.Locale;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.runtime.ModelOptions.Backend;

/**
 * What a model will take of the machine's memory, known from the shape of its decoder before anything of it is read.
 * Weights and KV cache are exact; the others are estimates on the safe side. All in bytes.
 *
 * @param options how it is held and run
 * @param weights its weights; for a CUDA device they are gathered here before they are copied there
 * @param isCached whether these are mapped from the cache of packed weights: page cache then, which the system drops
 *     where memory is short, so that they need not fit
 * @param kvCacheTokens tokens that the KV cache holds
 * @param kvCacheBytes the KV cache, which lies in a CUDA device's memory if there is one, and in the machine's else
 * @param workspaceBytes what a step computes with, logits included
 * @param loadingBytes what is taken beside the weights while they are written to the cache of packed weights
 * @param processBytes what Java takes beside: heap, compiled code, tokenizer; libtorch, if it runs the model
 * @param available what the process may take
 */
public record MemoryPlan(
        ModelOptions options,
        WeightBytes weights,
        boolean isCached,
        int kvCacheTokens,
        long kvCacheBytes,
        long workspaceBytes,
        long loadingBytes,
        long processBytes,
        AvailableMemory available) {
    /** A process with a model of 2.8 billion weights has 95 to 150 MB more resident than weights and KV cache. */
    private static final long JAVA_BYTES = 80L << 20;

    /** libtorch itself, once it has computed something. */
    private static final long LIBTORCH_BYTES = 250L << 20;

    /** A start that writes weights to the cache had 380 MB more resident than weights, other starts 150. */
    private static final long CACHING_BYTES = 230L << 20;

    /** Scratch memory of a thread of the kernels: what its second-level cache holds, or less. */
    private static final long THREAD_BYTES = 2L << 20;

    /**
     * Sizes of sessions.
     *
     * @param blocks KV blocks of {@link DecoderSession#BLOCK_SIZE} tokens
     * @param maxRows most rows of a step
     * @param maxLogitsRows most of them that want logits
     */
    public record SessionSize(int blocks, int maxRows, int maxLogitsRows) {}

    /** What is known of the cache of packed weights. */
    public enum Caching {
        /** It has no part in this. */
        NONE,
        /** The weights will be written to it. */
        WRITTEN,
        /** They are in it. */
        FOUND
    }

    /** The plan of a decoder. */
    public static MemoryPlan of(
            DecoderSpec spec, ModelOptions options, SessionSize size, Caching caching, AvailableMemory available) {
        int tokens = Math.multiplyExact(size.blocks, DecoderSession.BLOCK_SIZE);
        return new MemoryPlan(
                options,
                WeightBytes.of(spec, options.dtype(), options.backend()),
                caching == Caching.FOUND,
                tokens,
                tokens * kvBytesPerToken(spec, options),
                workspaceBytes(spec, options, size),
                caching == Caching.WRITTEN ? CACHING_BYTES : 0,
                JAVA_BYTES + (options.backend() == Backend.LIBTORCH ? LIBTORCH_BYTES : 0),
                available);
    }

    /** The kernels fill the heads up: native/src/ops/packed_kv_cache.h. */
    private static long kvBytesPerToken(DecoderSpec spec, ModelOptions options) {
        int elementBytes = options.kvCacheDtype().bytes();
        return options.backend() == Backend.LIBTORCH
                ? spec.kvBytesPerToken(elementBytes)
                : (long) spec.layers()
                        * spec.heads()
                        * (WeightBytes.filledUp(spec.headSize(), 4) + WeightBytes.filledUp(spec.headSize(), 16))
                        * elementBytes;
    }

    /** All that native/src/model/kernel_runner.cpp reserves, as float32; libtorch needs about as much. */
    private static long workspaceBytes(DecoderSpec spec, ModelOptions options, SessionSize size) {
        long rowNumbers = 10L * spec.hiddenSize() + 2L * spec.ffnSize();
        long logitsNumbers = (long) spec.hiddenSize() + spec.vocabSize();
        long rotaryNumbers = (long) spec.contextLength() * spec.rotaryDims();
        long numbers = size.maxRows * rowNumbers + size.maxLogitsRows * logitsNumbers + rotaryNumbers;
        int threads = options.threads() == 0 ? Runtime.getRuntime().availableProcessors() : options.threads();
        return numbers * Float.BYTES + threads * THREAD_BYTES;
    }

    /** All that the model takes of the machine's memory. */
    public long totalBytes() {
        return weights.total() + (isOnCpu() ? kvCacheBytes : 0) + workspaceBytes + loadingBytes + processBytes;
    }

    /** Whether all of it fits into the memory that is available, swap not counted: then nothing is slowed down. */
    public boolean fits() {
        return totalBytes() <= available.bytes();
    }

    /** Whether the model can be loaded, if need be with the help of swap or, of cached weights, of the disk. */
    public boolean canBeLoaded() {
        long needed = totalBytes() - (isCached ? weights.total() : 0);
        return needed <= available.bytes() || needed - available.bytes() <= available.swapBytes();
    }

    /** Whether the cache of packed weights has a part in this. */
    public boolean usesWeightCache() {
        return isCached || loadingBytes > 0;
    }

    private boolean isOnCpu() {
        return options.cudaDevice() < 0;
    }

    /** The figures in a clause, without what is available: {@code bfloat16 takes 5.9 GB (...)}. */
    public String figures() {
        return String.format(
                Locale.ROOT,
                "%s takes %s (weights %s%s, KV cache of %,d tokens %s, workspace %s, %sJava %s)",
                options.dtype().name().toLowerCase(Locale.ROOT),
                text(totalBytes()),
                text(weights.total()),
                isCached ? " from the cache" : "",
                kvCacheTokens,
                isOnCpu() ? text(kvCacheBytes) : "on the device",
                text(workspaceBytes),
                loadingBytes > 0 ? "writing the cache " + text(loadingBytes) + ", " : "",
                text(processBytes));
    }

    /** A number of bytes for a message: in GB, or in MB where it is small. */
    public static String text(long bytes) {
        return bytes < 1_000_000_000
                ? String.format(Locale.ROOT, "%.1f MB", bytes / 1e6)
                : String.format(Locale.ROOT, "%.2f GB", bytes / 1e9);
    }
}
