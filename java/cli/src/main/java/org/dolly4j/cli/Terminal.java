package org.dolly4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the standard streams are connected to. {@link System#console} knows it only for all of them together. */
final class Terminal {
    static final int INPUT = 0;
    static final int OUTPUT = 1;
    static final int ERROR = 2;

    private Terminal() {}

    /** Whether a standard stream is a terminal. */
    static boolean isTerminal(int descriptor) {
        String target = target(descriptor);
        return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
    }

    /** Whether a standard stream is a pipe or socket, whose other end may go away. */
    static boolean isPipe(int descriptor) {
        String target = target(descriptor);
        return target.startsWith("pipe:") || target.startsWith("socket:");
    }

    /** Whether colours are wanted on standard output: on a terminal that has them, and not against NO_COLOR. */
    static boolean wantsColours() {
        String noColour = System.getenv("NO_COLOR");
        return isTerminal(OUTPUT) && (noColour == null || noColour.isEmpty()) && !"dumb".equals(System.getenv("TERM"));
    }

    /** What Linux says the descriptor is open on; empty where that cannot be told. */
    private static String target(int descriptor) {
        try {
            return Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                    .toString();
        } catch (IOException e) {
            return "";
        }
    }
}
