package org.dolly4j.runtime;

/**
 * How a model is held and run.
 *
 * @param computeType element type of weights, of matmul inputs and of the KV cache
 * @param backend what runs the step
 * @param device {@code "cpu"}, {@code "cuda"} or {@code "cuda:N"}
 * @param threads CPU threads, or 0 for the number of physical cores
 */
public record ModelOptions(ComputeType computeType, Backend backend, String device, int threads) {
    /** @throws IllegalArgumentException if the device is not known or the number of threads is negative */
    public ModelOptions {
        if (!device.matches("cpu|cuda(:[0-9]{1,3})?")) {
            throw new IllegalArgumentException("device must be cpu, cuda or cuda:N, not '" + device + "'");
        }
        if (threads < 0) {
            throw new IllegalArgumentException("threads must be 0 (physical cores) or more, not " + threads);
        }
    }

    /** Ordinal of the CUDA device, or -1 for the CPU. */
    int cudaDevice() {
        if (device.equals("cpu")) {
            return -1;
        }
        int colon = device.indexOf(':');
        return colon < 0 ? 0 : Integer.parseInt(device.substring(colon + 1));
    }

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
