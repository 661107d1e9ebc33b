package org.dolly4j.cli;

import java.util.concurrent.atomic.AtomicBoolean;
import org.dolly4j.Dolly;

/**
 * A model that is closed at the end of its use, and also when the process is told to end (Ctrl-C, SIGTERM): native code
 * that ran on while the process is torn down could crash.
 */
final class OpenModel implements AutoCloseable {
    private static final AtomicBoolean INTERRUPTED = new AtomicBoolean();

    private final Dolly dolly;
    private final Thread hook;

    /** @param dolly to be closed with this */
    OpenModel(Dolly dolly) {
        this.dolly = dolly;
        this.hook = new Thread(
                () -> {
                    INTERRUPTED.set(true);
                    dolly.close();
                },
                "dolly4j-interruption");
        Runtime.getRuntime().addShutdownHook(hook);
    }

    /** Whether the process is being ended while a model is in use, so that failures are no news. */
    static boolean isInterrupted() {
        return INTERRUPTED.get();
    }

    /** The model. */
    Dolly dolly() {
        return dolly;
    }

    @Override
    public void close() {
        dolly.close();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process is being ended, and the hook does, or has done, the same.
            INTERRUPTED.set(true);
        }
    }
}
