package org.dolly4j.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.charset.Charset;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.dolly4j.BackendException;
import org.dolly4j.CheckpointException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Loads the native libraries and turns native failures into exceptions: the one place for both. */
final class NativeLibrary {
    private static final Logger LOG = LoggerFactory.getLogger(NativeLibrary.class);
    /** What the JDK itself turns file names into bytes with. */
    private static final Charset FILE_NAMES = Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));

    private static final String LIBTORCH_CLASS = "org.bytedeco.pytorch.global.torch";

    private static boolean loaded;
    private static boolean libtorchAttached;

    private NativeLibrary() {}

    /**
     * Loads dolly4j's own native library. With the system property {@code dolly4j.affinity} set to true, the threads
     * of the kernels are bound to a CPU each.
     *
     * @throws BackendException if there is none for this platform or it cannot be loaded
     */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        // JavaCPP would refuse allocations once the process has mapped more than the heap's size.
        setUnlessSet("org.bytedeco.javacpp.maxPhysicalBytes", "0");
        setUnlessSet("org.bytedeco.javacpp.maxBytes", "0");
        String directory = System.getProperty("dolly4j.native.dir");
        if (directory != null) {
            setUnlessSet("org.bytedeco.javacpp.cachedir", directory);
        }
        try {
            Loader.load(NativeApi.class);
        } catch (UnsatisfiedLinkError | NoClassDefFoundError | ExceptionInInitializerError e) {
            throw new BackendException(
                    "The native library of dolly4j for " + Loader.getPlatform()
                            + " cannot be loaded. Check that the jar "
                            + "was built on this platform, and set -Ddolly4j.native.dir=DIR to a folder that can be "
                            + "written. The cause: " + e.getMessage(),
                    e);
        }
        loaded = true;
        if (Boolean.getBoolean("dolly4j.affinity")) {
            check(NativeApi.d4j_bind_threads());
        }
    }

    /**
     * Loads libtorch, from the class path or from the folder in the system property {@code dolly4j.libtorch}.
     *
     * @param threads CPU threads that the user wants for its ops, or 0 for {@link #defaultThreads()}; heeded by the
     *     first call of the process
     * @throws BackendException if libtorch is missing or older than 2.10
     */
    static synchronized void attachLibtorch(int threads) {
        load();
        if (libtorchAttached) {
            warnIfThreadsDiffer(threads);
            return;
        }
        check(NativeApi.d4j_libtorch_set_threads(threads == 0 ? defaultThreads() : threads));
        String directory = System.getProperty("dolly4j.libtorch");
        if (directory == null) {
            loadLibtorchFromClassPath();
            check(NativeApi.d4j_libtorch_attach((BytePointer) null));
        } else {
            try (BytePointer path = path(directory)) {
                check(NativeApi.d4j_libtorch_attach(path));
            }
        }
        libtorchAttached = true;
        LOG.debug("libtorch attached: {}", buildInfo());
        warnIfThreadsDiffer(threads);
    }

    private static void loadLibtorchFromClassPath() {
        try {
            Loader.load(Class.forName(LIBTORCH_CLASS));
        } catch (ClassNotFoundException | LinkageError e) {
            throw new BackendException(
                    "libtorch cannot be loaded: " + e.getMessage()
                            + ". Add the artifact org.dolly4j:dolly4j-libtorch to the class path, or set "
                            + "-Ddolly4j.libtorch=DIR to the torch/lib folder of a Python package (2.10 or later).",
                    e);
        }
    }

    private static void warnIfThreadsDiffer(int threads) {
        int running = buildInfo().libtorchThreads();
        if (threads != 0 && running != threads) {
            LOG.warn(
                    "libtorch runs with {} CPU threads, not with the {} that are wanted: OMP_NUM_THREADS, or else the first"
                            + " model of the process, decides",
                    running,
                    threads);
        }
    }

    /**
     * CPU threads used unless told otherwise: what the system property {@code dolly4j.threads} says, else the physical
     * cores that this process may run on, at most as many as its control group gives it time for.
     *
     * @throws IllegalArgumentException if the property is no number above 0
     */
    static int defaultThreads() {
        load();
        Integer stated = Integer.getInteger("dolly4j.threads");
        if (stated != null && stated >= 1) {
            return stated;
        }
        if (System.getProperty("dolly4j.threads") != null) {
            throw new IllegalArgumentException(
                    "The system property dolly4j.threads must be a number of 1 or more, not '"
                            + System.getProperty("dolly4j.threads") + "'.");
        }
        int available = Runtime.getRuntime().availableProcessors();
        int cores = buildInfo().cpuCores();
        return cores > 0 ? Math.min(cores, available) : available;
    }

    static BuildInfo buildInfo() {
        load();
        try (NativeBuildInfo info = new NativeBuildInfo()) {
            check(NativeApi.d4j_get_build_info(info));
            return new BuildInfo(
                    text(info.version(), UTF_8),
                    text(info.compiler(), UTF_8),
                    info.libtorch_attached() != 0,
                    text(info.libtorch_source(), FILE_NAMES),
                    info.libtorch_threads(),
                    info.cuda_device_count(),
                    text(info.cpu_isa(), UTF_8),
                    info.packed_version(),
                    info.cpu_cores());
        }
    }

    /**
     * Turns a status into an exception.
     *
     * @throws IllegalArgumentException for D4J_INVALID_ARGUMENT
     * @throws CheckpointException for D4J_BAD_FILE
     * @throws BackendException for all else but D4J_OK
     */
    static void check(int status) {
        if (status == NativeApi.D4J_OK) {
            return;
        }
        String message = text(NativeApi.d4j_last_error(), UTF_8);
        if (status == NativeApi.D4J_INVALID_ARGUMENT) {
            throw new IllegalArgumentException(message);
        }
        if (status == NativeApi.D4J_BAD_FILE) {
            throw new CheckpointException(message);
        }
        throw new BackendException(message);
    }

    /** A path as the C library wants it: the bytes of the file system, whatever the default charset is. */
    static BytePointer path(String path) {
        return new BytePointer(path, FILE_NAMES);
    }

    private static String text(BytePointer pointer, Charset charset) {
        return pointer == null || pointer.isNull() ? "" : pointer.getString(charset);
    }

    private static void setUnlessSet(String key, String value) {
        if (System.getProperty(key) == null) {
            System.setProperty(key, value);
        }
    }
}
