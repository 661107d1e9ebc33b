package org.dolly4j.runtime;

/**
 * How a model is held and run.
 *
 * @param computeType element type of weights, of matmul inputs and of the KV cache
 * @param backend what runs the step
 * @param device {@code "cpu"} or {@code "cuda:N"}
 * @param threads CPU threads, or 0 for the number of physical cores
 */
public record ModelOptions(ComputeType computeType, Backend backend, String device, int threads) {
    /** Element type of weights, matmul inputs and KV cache. */
    public enum ComputeType {
        /** Exact mode. */
        FLOAT32,
        /** Half the memory; residual stream, norms and softmax stay float32. */
        BFLOAT16
    }

    /** What runs the step. */
    public enum Backend {
        /** A graph of libtorch ops. */
        LIBTORCH
    }
}
