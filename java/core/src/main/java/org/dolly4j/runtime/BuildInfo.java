package org.dolly4j.runtime;

/**
 * What the native side is made of.
 *
 * @param version version of the native library
 * @param compiler compiler that built it
 * @param libtorchAttached whether libtorch is loaded
 * @param libtorchSource file of the loaded libtorch, or empty
 * @param libtorchThreads CPU threads of libtorch, 0 while it is not loaded
 * @param cudaDevices CUDA devices libtorch sees, 0 while it is not loaded
 * @param cpuIsa instruction set that the kernels use: generic, avx2, avx512, avx512_bf16 or amx
 * @param packedVersion of the layout of packed weights, which files of another version do not have
 * @param cpuCores physical cores that this process may run on, 0 if the system does not say
 */
public record BuildInfo(
        String version,
        String compiler,
        boolean libtorchAttached,
        String libtorchSource,
        int libtorchThreads,
        int cudaDevices,
        String cpuIsa,
        int packedVersion,
        int cpuCores) {
    /**
     * Loads the native library and asks it.
     *
     * @throws org.dolly4j.BackendException if there is none for this platform
     * @throws IllegalArgumentException if the environment variable DOLLY4J_ISA names no instruction set of this CPU
     */
    public static BuildInfo current() {
        return NativeLibrary.buildInfo();
    }
}
