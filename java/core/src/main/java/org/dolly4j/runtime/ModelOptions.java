package org.dolly4j.runtime;

import java.util.Locale;

/**
 * How a model is held and run.
 *
 * @param dtype element type of weights
 * @param kvCacheDtype element type of the KV cache
 * @param backend what runs the step
 * @param device {@code "cpu"}, {@code "cuda"} or {@code "cuda:N"}
 * @param threads CPU threads, or 0 for the number of physical cores
 * @param portableBits whether the kernels add up in the order that gives the same bits on every CPU, even where another
 *     is faster; libtorch has no such order
 */
public record ModelOptions(
        WeightType dtype, KvCacheType kvCacheDtype, Backend backend, String device, int threads, boolean portableBits) {
    private static final String CPU = "cpu";

    /**
     * @throws IllegalArgumentException if the device is not known or not one of the backend, the number of threads is
     *     negative, or libtorch should have portable bits or quantised weights
     */
    public ModelOptions {
        if (!device.matches("cpu|cuda(:[0-9]{1,3})?")) {
            throw new IllegalArgumentException("device must be cpu, cuda or cuda:N, not '" + device + "'");
        }
        if (threads < 0) {
            throw new IllegalArgumentException("threads must be 0 (physical cores) or more, not " + threads);
        }
        if (backend == Backend.KERNELS && !device.equals(CPU)) {
            throw new IllegalArgumentException("device must be cpu for the backend kernels, not '" + device
                    + "': on a CUDA device use the backend libtorch.");
        }
        if (backend == Backend.LIBTORCH && dtype.isQuantised()) {
            throw new IllegalArgumentException("dtype must be float32 or bfloat16 for the backend libtorch, not "
                    + dtype.name().toLowerCase(Locale.ROOT) + ": quantised weights need the backend kernels.");
        }
        if (backend == Backend.LIBTORCH && portableBits) {
            throw new IllegalArgumentException(
                    "portableBits is an option of the backend kernels: libtorch's bits depend on the CPU.");
        }
    }

    /** With the KV cache in the type that suits the weights. */
    public ModelOptions(WeightType dtype, Backend backend, String device, int threads, boolean portableBits) {
        this(dtype, dtype.kvCacheType(), backend, device, threads, portableBits);
    }

    /** What runs on a device unless told otherwise: the kernels on the CPU, libtorch elsewhere. */
    public static Backend defaultBackend(String device) {
        return device.equals(CPU) ? Backend.KERNELS : Backend.LIBTORCH;
    }

    /** Ordinal of the CUDA device, or -1 for the CPU. */
    int cudaDevice() {
        if (device.equals(CPU)) {
            return -1;
        }
        int colon = device.indexOf(':');
        return colon < 0 ? 0 : Integer.parseInt(device.substring(colon + 1));
    }

    /** Element type of weights. */
    public enum WeightType {
        /** Exact mode: also matmul inputs are float32. */
        FLOAT32,
        /** Half the memory: also matmul inputs are bfloat16; residual stream, norms and softmax are float32. */
        BFLOAT16,
        /**
         * A quarter of the memory: matrices in whole numbers with a scale for each row, multiplied by inputs in whole
         * numbers with a scale for each 64; all else as BFLOAT16.
         */
        INT8,
        /**
         * An eighth of the memory: matrices in whole numbers with a scale for each 64 weights of a row, inputs and
         * the output head as INT8; all else as BFLOAT16.
         */
        INT4;

        /** Whether weights are whole numbers with scales. */
        public boolean isQuantised() {
            return this == INT8 || this == INT4;
        }

        /** The type of a KV cache that loses no more than these weights do. */
        public KvCacheType kvCacheType() {
            return this == FLOAT32 ? KvCacheType.FLOAT32 : KvCacheType.BFLOAT16;
        }
    }

    /** Element type of the KV cache. */
    public enum KvCacheType {
        /** Keys and values as they are computed, and exact sums in attention. */
        FLOAT32,
        /** Half the memory, and half the time to read it; keys, values, queries and probabilities are rounded. */
        BFLOAT16;

        /** Bytes of a number. */
        public int bytes() {
            return this == FLOAT32 ? 4 : 2;
        }
    }

    /** What runs the step. */
    public enum Backend {
        /** The kernels of this library, on the CPU. */
        KERNELS,
        /** A graph of libtorch ops. */
        LIBTORCH
    }
}
