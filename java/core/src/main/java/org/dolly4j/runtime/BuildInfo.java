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
 */
public record BuildInfo(
        String version,
        String compiler,
        boolean libtorchAttached,
        String libtorchSource,
        int libtorchThreads,
        int cudaDevices) {
    /**
     * Loads the native library and asks it.
     *
     * @throws org.dolly4j.BackendException if there is none for this platform
     */
    public static BuildInfo current() {
        return NativeLibrary.buildInfo();
    }
}
