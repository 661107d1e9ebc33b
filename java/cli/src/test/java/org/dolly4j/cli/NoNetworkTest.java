package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Nothing leaves the machine: in processes whose sockets are denied, or watched, by a library that is loaded before all
 * others, so that Java and native code are both seen.
 */
class NoNetworkTest {
    private static final String ID = "org/demo";
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final List<String> FILES =
            List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json");
    private static final String QUESTION = "What is the capital city of Thailand?";
    private static final String ANSWER = "The capital of Thailand is Bangkok.\n";

    @TempDir
    static Path shared;

    private static Path watcher;
    private static Path model;

    /** What Java itself asks for as it opens a first file: it looks which versions of IP there are, and contacts nobody. */
    private static List<String> probes;

    /** Opens a file. */
    static final class Opener {
        private Opener() {}

        public static void main(String[] file) throws IOException {
            FileChannel.open(Path.of(file[0])).close();
        }
    }

    @TempDir
    private Path folder;

    private HttpServer hub;

    @BeforeAll
    static void prepare() throws Exception {
        watcher = shared.resolve("sockets.so");
        Process compiler = new ProcessBuilder(
                        "c++",
                        "-shared",
                        "-fPIC",
                        "-o",
                        watcher.toString(),
                        Path.of("src/test/native/sockets.cpp").toString(),
                        "-ldl")
                .inheritIO()
                .start();
        assertThat(compiler.waitFor()).isZero();
        Path notes = shared.resolve("probes");
        ProcessBuilder opener = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Opener.class.getName(),
                watcher.toString());
        opener.environment()
                .putAll(Map.of(
                        "LD_PRELOAD", watcher.toString(),
                        "DOLLY4J_TEST_SOCKETS", notes.toString(),
                        "DOLLY4J_TEST_DENY", "1"));
        assertThat(opener.start().waitFor()).isZero();
        probes = Files.readAllLines(notes);
        assertThat(probes).hasSizeLessThan(5).allMatch(line -> line.startsWith("socket "));
        model = Files.createDirectory(shared.resolve("model"));
        for (String name : FILES) {
            try (InputStream in = NoNetworkTest.class.getResourceAsStream("/org/dolly4j/demo/" + name)) {
                Files.copy(in, model.resolve(name));
            }
        }
    }

    /** A hub that has the demo model, and sends files as a whole only. */
    @BeforeEach
    void startHub() throws IOException {
        hub = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        hub.createContext("/api/models/" + ID + "/revision/", exchange -> {
            String files = FILES.stream()
                    .map(name -> "{\"rfilename\":\"" + name + "\"}")
                    .collect(Collectors.joining(","));
            byte[] listing =
                    ("{\"sha\":\"" + COMMIT + "\",\"siblings\":[" + files + "]}").getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, listing.length);
            exchange.getResponseBody().write(listing);
            exchange.close();
        });
        hub.createContext("/" + ID + "/resolve/" + COMMIT + "/", exchange -> {
            Path file = model.resolve(
                    Path.of(exchange.getRequestURI().getPath()).getFileName().toString());
            boolean head = exchange.getRequestMethod().equals("HEAD");
            exchange.getResponseHeaders().add("X-Repo-Commit", COMMIT);
            exchange.getResponseHeaders()
                    .add("ETag", "\"" + file.getFileName().toString().replace('.', '-') + "\"");
            if (head) {
                exchange.getResponseHeaders().add("Content-Length", Long.toString(Files.size(file)));
            }
            exchange.sendResponseHeaders(200, head ? -1 : Files.size(file));
            if (!head) {
                Files.copy(file, exchange.getResponseBody());
            }
            exchange.close();
        });
        hub.start();
    }

    @AfterEach
    void stopHub() {
        hub.stop(0);
    }

    /** A run in a process of its own, and what it did with sockets. */
    private record Watched(Run run, List<String> sockets) {
        /** Addresses that were contacted, each once. */
        List<String> contacted() {
            return sockets.stream()
                    .filter(line -> !line.startsWith("socket "))
                    .distinct()
                    .toList();
        }
    }

    private Watched run(boolean denied, String... arguments) throws IOException, InterruptedException {
        return run(denied, Map.of(), arguments);
    }

    private Watched run(boolean denied, Map<String, String> variables, String... arguments)
            throws IOException, InterruptedException {
        Path notes = folder.resolve("sockets");
        Path err = folder.resolve("err");
        Files.deleteIfExists(notes);
        ProcessBuilder builder = ProcessTest.builder(List.of(), Arrays.asList(arguments));
        Map<String, String> environment = new HashMap<>(Map.of(
                "LD_PRELOAD", watcher.toString(),
                "DOLLY4J_TEST_SOCKETS", notes.toString(),
                "HF_HOME", folder.resolve("hf").toString(),
                "HF_ENDPOINT", "http://127.0.0.1:" + hub.getAddress().getPort()));
        if (denied) {
            environment.put("DOLLY4J_TEST_DENY", "1");
        }
        builder.environment().keySet().removeIf(name -> name.toUpperCase(Locale.ROOT)
                .endsWith("_PROXY"));
        builder.environment().putAll(environment);
        builder.environment().putAll(variables);
        builder.redirectError(err.toFile());
        Process process = builder.start();
        process.getOutputStream().close();
        String out = ProcessTest.read(process.getInputStream());
        Run run = new Run(process.waitFor(), out, Files.readString(err));
        return new Watched(run, Files.exists(notes) ? Files.readAllLines(notes) : List.of());
    }

    @Test
    void withoutAnySocket_whatIsOnTheMachineWorks() throws Exception {
        Path questions = Files.writeString(folder.resolve("questions"), QUESTION + "\n");
        List<String> copy =
                List.of("convert", model.toString(), folder.resolve("new").toString());
        for (List<String> arguments : List.of(
                List.of("--greedy", QUESTION),
                List.of("--greedy", "--model", model.toString(), QUESTION),
                List.of("--num-beams", "2", "--model", model.toString(), QUESTION),
                List.of("--greedy", "--file", questions.toString()))) {
            Watched watched = run(true, arguments.toArray(String[]::new));
            assertThat(watched.run.out()).as(watched.run.err()).isEqualTo(ANSWER);
            assertThat(watched.sockets).isIn(List.of(), probes);
        }
        for (List<String> arguments : List.of(
                List.of("score", "--model", model.toString(), QUESTION, "Bangkok", "Paris"),
                List.of("tokenize", "--model", model.toString(), "Hello"),
                List.of("--context", "It has many temples.", "--model", model.toString(), "Summarize."),
                List.of("info", "--model", model.toString()),
                List.of("check", Goldens.FOLDER.resolve("sampling").toString()),
                List.of("cache", "--cache-dir", folder.resolve("cache").toString()),
                copy)) {
            Watched watched = run(true, arguments.toArray(String[]::new));
            assertThat(watched.run.exitCode()).as(arguments + watched.run.err()).isZero();
            assertThat(watched.sockets).isIn(List.of(), probes);
        }
    }

    @Test
    void withAnId_onlyTheHubIsContacted_andNobodyOnceItsCommitIsHere() throws Exception {
        String address = "connect 127.0.0.1 " + hub.getAddress().getPort();
        List<String> ask = new ArrayList<>(List.of("--greedy", "--model", ID, QUESTION));

        Watched denied = run(true, ask.toArray(String[]::new));
        assertThat(denied.run.exitCode()).isEqualTo(1);
        assertThat(denied.run.err()).contains("cannot be reached");
        assertThat(denied.sockets).hasSizeGreaterThan(probes.size()); // so what is tried is seen, and would be above

        Watched planned = run(false, "info", ID);
        assertThat(planned.run.exitCode()).as(planned.run.err()).isZero();
        assertThat(planned.run.out()).contains("bfloat16").doesNotContain("loaded in");
        assertThat(planned.run.err()).contains("dolly: org/demo is not on this machine; dolly download org/demo");
        assertThat(ipv4(planned.contacted())).containsExactly(address);

        Watched first = run(false, ask.toArray(String[]::new));
        assertThat(first.run.out()).as(first.run.err()).isEqualTo(ANSWER);
        assertThat(ipv4(first.contacted())).containsExactly(address);

        Watched cut = run(true, ask.toArray(String[]::new));
        assertThat(cut.run.out()).as(cut.run.err()).isEqualTo(ANSWER);
        assertThat(cut.run.err()).contains("is used as it was when it was last downloaded");

        Watched offline = run(true, Map.of("HF_HUB_OFFLINE", "1"), ask.toArray(String[]::new));
        assertThat(offline.run.out()).as(offline.run.err()).isEqualTo(ANSWER);
        assertThat(offline.sockets).isIn(List.of(), probes);

        Watched folder = run(true, "download", ID, "--revision", COMMIT);
        assertThat(folder.run.exitCode()).as(folder.run.err()).isZero();
        assertThat(folder.sockets).isIn(List.of(), probes);

        ask.addAll(0, List.of("--revision", COMMIT));
        Watched pinned = run(true, ask.toArray(String[]::new));
        assertThat(pinned.run.out()).as(pinned.run.err()).isEqualTo(ANSWER);
        assertThat(pinned.sockets).isIn(List.of(), probes);
    }

    /** An IPv4 address reads the same through a socket of IPv6. */
    private static List<String> ipv4(List<String> contacted) {
        return contacted.stream()
                .map(line -> line.replace("::ffff:", ""))
                .distinct()
                .toList();
    }
}
