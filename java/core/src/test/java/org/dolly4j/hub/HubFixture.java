package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.HubException;
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

    /** Faults that were put in the way. */
    final AtomicInteger faults = new AtomicInteger();

    @BeforeEach
    void startHub() throws IOException {
        hub = new LoopbackHub()
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

    AbstractThrowableAssert<?, ?> assertRefused() {
        return assertThatThrownBy(this::download).isInstanceOf(HubException.class);
    }

    void assertNoBlobOfTheWeights() {
        assertThat(repositoryFolder().resolve("blobs").resolve(LoopbackHub.etag(hub.bytes(WEIGHTS))))
                .doesNotExist();
    }

    /** Answers with a status and headers, names and values in turn. */
    static LoopbackHub.Fault status(int status, String... headers) {
        return (exchange, name) -> {
            for (int i = 0; i < headers.length; i += 2) {
                exchange.getResponseHeaders().add(headers[i], headers[i + 1]);
            }
            LoopbackHub.sendText(exchange, status, "{}");
            return true;
        };
    }

    /** First and last byte that are asked for. */
    static int[] range(HttpExchange exchange) {
        String[] ends = exchange.getRequestHeaders()
                .getFirst("Range")
                .substring("bytes=".length())
                .split("-", -1);
        return new int[] {Integer.parseInt(ends[0]), Integer.parseInt(ends[1])};
    }

    /** Answers with the right number of wrong bytes. */
    static boolean corrupted(HttpExchange exchange) throws IOException {
        int[] range = range(exchange);
        byte[] wrong = new byte[range[1] - range[0] + 1];
        exchange.getResponseHeaders().add("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHTS_BYTES);
        exchange.sendResponseHeaders(206, wrong.length);
        exchange.getResponseBody().write(wrong);
        return true;
    }
}
