package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models of the hub at the command line; without the network, with the demo model in the cache. */
class HubModelTest {
    private static final String ID = "org/demo";
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

    @TempDir
    Path cache;

    private Path snapshot;

    @BeforeEach
    void fillCache() throws IOException {
        Path repository = cache.resolve("models--org--demo");
        snapshot = Files.createDirectories(repository.resolve("snapshots").resolve(COMMIT));
        for (String name : List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")) {
            try (InputStream in = HubModelTest.class.getResourceAsStream("/org/dolly4j/demo/" + name)) {
                Files.copy(in, snapshot.resolve(name));
            }
        }
        Files.writeString(Files.createDirectories(repository.resolve("refs")).resolve("main"), COMMIT);
    }

    private Run offline(String... arguments) throws IOException, InterruptedException {
        ProcessBuilder builder = ProcessTest.builder(List.of(), Arrays.asList(arguments));
        builder.environment().put("HF_HUB_CACHE", cache.toString());
        builder.environment().put("HF_HUB_OFFLINE", "1");
        builder.redirectError(cache.resolve("err").toFile());
        Process process = builder.start();
        process.getOutputStream().close();
        String out = ProcessTest.read(process.getInputStream());
        return new Run(process.waitFor(), out, Files.readString(cache.resolve("err")));
    }

    @Test
    void download_printsTheFolder() throws Exception {
        Run run = offline("download", ID);

        assertThat(run.err()).isEmpty();
        assertThat(run.out()).isEqualTo(snapshot + "\n");
    }

    @Test
    void downloadOfACommitInTheCache_asksNobody() {
        Run run = Run.of("download", ID, "--revision", COMMIT, "--hub-cache", cache.toString());

        assertThat(run.err()).isEmpty();
        assertThat(run.out()).isEqualTo(snapshot + "\n");
    }

    @Test
    void infoAskAndTokenize_takeAnId() throws Exception {
        assertThat(offline("info", "--model", ID).lines()).anyMatch(line -> line.matches("model +org/demo"));
        assertThat(offline("--model", ID, "--greedy", "--max-new-tokens", "2", "Hello")
                        .exitCode())
                .isZero();
        assertThat(offline("tokenize", "--model", ID, "--revision", COMMIT, "--ids", "The capital")
                        .out())
                .isEqualTo("368 602\n");
    }

    @Test
    void infoAskAndTokenize_takeTheFolderOfTheCache() {
        String[] model = {"--model", ID, "--revision", COMMIT, "--hub-cache", cache.toString()};
        assertThat(with(model, "info").lines()).anyMatch(line -> line.matches("model +org/demo"));
        assertThat(with(model, "--greedy", "--max-new-tokens", "2", "Hello").exitCode())
                .isZero();
        assertThat(with(model, "tokenize", "--ids", "The capital").out()).isEqualTo("368 602\n");
        Path target = cache.resolve("converted");
        assertThat(Run.of("convert", ID, target.toString(), "--revision", COMMIT, "--hub-cache", cache.toString())
                        .exitCode())
                .isZero();
        assertThat(target.resolve("tokenizer.json")).hasSameBinaryContentAs(snapshot.resolve("tokenizer.json"));
    }

    /** In this process, with the arguments before those of the model if the first is a command. */
    private static Run with(String[] model, String... arguments) {
        List<String> all = new ArrayList<>(Arrays.asList(arguments));
        all.addAll(arguments[0].startsWith("-") ? 0 : 1, Arrays.asList(model));
        return Run.of(all.toArray(String[]::new));
    }

    @Test
    void modelThatIsNotInTheCache_isSaidInOneLine() throws Exception {
        for (String[] arguments : new String[][] {
            {"--model", "org/none", "Hello"},
            {"info", "--model", ID, "--revision", "v2"},
            {"download", "org/none"},
            {"tokenize", "--model", "org/none", "Hello"}
        }) {
            Run run = offline(arguments);

            assertThat(run.exitCode()).isEqualTo(1);
            assertThat(run.err().lines())
                    .singleElement()
                    .asString()
                    .startsWith("dolly: ")
                    .contains("has no org/", "HF_HUB_OFFLINE");
        }
    }

    @Test
    void wrongUse_isSaid() {
        assertThat(Run.of("download").exitCode()).isEqualTo(2);
        assertThat(Run.of("download", "/models/x").err()).contains("is no id of a model on the hub");
        assertThat(Run.of("download", ID, "--revision", "..").err()).contains("is no revision");
        assertThat(Run.of("--revision", "main", "Hello").err()).contains("--revision goes with the id of a model");
        assertThat(Run.of("tokenize", "--revision", "main", "Hello").err()).contains("--revision goes with");
    }
}
