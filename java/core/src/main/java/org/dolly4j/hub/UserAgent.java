package org.dolly4j.hub;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** What this library calls itself: its name and version, and nothing about who uses it and where. */
final class UserAgent {
    static final String VALUE = "dolly4j/" + version();

    private UserAgent() {}

    /** As in the pom; the build writes it into a resource. */
    private static String version() {
        try (InputStream in = UserAgent.class.getResourceAsStream("version.txt")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
