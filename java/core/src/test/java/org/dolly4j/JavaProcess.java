package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A main class of the tests in a JVM of its own. */
public final class JavaProcess {
    private static final Path JAVA = Path.of(System.getProperty("java.home"), "bin", "java");

    private final List<String> mainAndArguments = new ArrayList<>();

    /** What starts Java, if not this process. */
    public final List<String> launcher = new ArrayList<>();

    /** For Java itself. */
    public final List<String> options = new ArrayList<>();

    public final Map<String, String> environment = new HashMap<>(System.getenv());

    public String classPath = System.getProperty("java.class.path");

    public JavaProcess(Class<?> main, String... arguments) {
        mainAndArguments.add(main.getName());
        mainAndArguments.addAll(Arrays.asList(arguments));
    }

    /** What it prints, errors included. */
    public String output() throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(launcher);
        command.addAll(List.of(JAVA.toString(), "-cp", classPath));
        command.addAll(options);
        command.addAll(mainAndArguments);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().clear();
        builder.environment().putAll(environment);
        Process process = builder.start();
        try (InputStream output = process.getInputStream()) {
            String text = new String(output.readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            return text;
        }
    }
}
