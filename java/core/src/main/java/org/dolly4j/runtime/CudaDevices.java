package org.dolly4j.runtime;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.dolly4j.BackendException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells whether this machine has a CUDA device that libtorch can use. */
public final class CudaDevices {
    private static final Logger LOG = LoggerFactory.getLogger(CudaDevices.class);

    /** What a driver puts there: NVIDIA's, and that of Linux under Windows. Without it libtorch need not be loaded. */
    private static final String[] DRIVERS = {"/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"};

    private CudaDevices() {}

    /**
     * How many there are. Loads libtorch if there is a driver; why there is none is in the log at DEBUG.
     *
     * @param threads CPU threads of libtorch, or 0 for the number of physical cores
     */
    public static int count(int threads) {
        if (Stream.of(DRIVERS).noneMatch(file -> Files.exists(Path.of(file)))) {
            LOG.debug("There is no CUDA driver");
            return 0;
        }
        try {
            NativeLibrary.attachLibtorch(threads);
            int count = NativeLibrary.buildInfo().cudaDevices();
            LOG.debug("{} has {} CUDA devices", NativeLibrary.buildInfo().libtorchSource(), count);
            return count;
        } catch (BackendException e) {
            LOG.debug("No CUDA device can be used: {}", e.getMessage());
            return 0;
        }
    }
}
