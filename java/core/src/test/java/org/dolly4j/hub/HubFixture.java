package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A hub with a small model in it, and a cache. */
abstract class HubFixture {
    static final String WEIGHTS = "model.safetensors";
    static final int PART_BYTES = 64 * 1024;
    static final int WEIGHTS_BYTES = 10 * PART_BYTES + 12_345;
    static final HubRepository MODEL = HubRepository.of(LoopbackHub.ID);

    @TempDir
    Path cache;

    LoopbackHub hub;

    @BeforeEach
    void startHub() throws IOException {
        hub = newHub();
    }

    static LoopbackHub newHub() throws IOException {
        return new LoopbackHub()
                .file("config.json", "{\"model_type\":\"gpt_neox\"}")
                .file("generation_config.json", "{}")
                .file("tokenizer.json", "{\"version\":\"1.0\"}")
                .file("tokenizer_config.json", "{\"a\":1}")
                .file("special_tokens_map.json", "{\"b\":1}")
                .file(WEIGHTS, random(WEIGHTS_BYTES, 1))
                .file("pytorch_model.bin", random(5000, 2))
                .file("README.md", "read me")
                .file("instruct_pipeline.py", "import os");
    }

    @AfterEach
    void stopHub() {
        hub.close();
    }

    static byte[] random(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    /** Options that see nothing of the environment of the tests, and do not wait long. */
    HubOptions.Builder options() {
        return options(hub, cache);
    }

    static HubOptions.Builder options(LoopbackHub hub, Path cache) {
        return HubOptions.builder(new HubEnvironment(Map.of(), cache.resolve("no-home")))
                .endpoint(hub.endpoint())
                .cacheDirectory(cache)
                .connections(4)
                .patience(Duration.ofSeconds(20))
                .firstWait(Duration.ofMillis(1))
                .partBytes(PART_BYTES);
    }

    Path download() {
        return new Hub(options().build()).download(MODEL);
    }

    Path repositoryFolder() {
        return cache.resolve("models--org--model");
    }

    void assertIsModel(Path folder) throws IOException {
        assertThat(folder).isEqualTo(repositoryFolder().resolve("snapshots").resolve(hub.commit));
        for (String name : new String[] {
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            WEIGHTS
        }) {
            assertThat(Files.readAllBytes(folder.resolve(name))).as(name).isEqualTo(hub.bytes(name));
        }
    }
}
