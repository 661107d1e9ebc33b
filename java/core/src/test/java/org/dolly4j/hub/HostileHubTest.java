package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers made to do harm: nothing of them becomes a path, takes the memory, or passes for a file. */
@Timeout(30)
class HostileHubTest extends HubFixture {
    @Test
    void bytesThatAreAlwaysCorrupt_neverBecomeAFile() {
        hub.storeFault = (exchange, name) -> corrupted(exchange);

        assertRefused()
                .hasMessageContaining("The bytes of model.safetensors are not those that the hub states, twice")
                .hasMessageContaining(LoopbackHub.etag(hub.bytes(WEIGHTS)));

        assertNoBlobOfTheWeights();
        assertThat(repositoryFolder().resolve("snapshots")).doesNotExist();
    }

    @Test
    void corruptSmallFile_neverBecomesOne() {
        hub.hubFault = (exchange, name) -> {
            if (!name.equals("tokenizer.json") || exchange.getRequestMethod().equals("HEAD")) {
                return false;
            }
            byte[] wrong = hub.bytes(name);
            wrong[0] = 'X';
            exchange.sendResponseHeaders(200, wrong.length);
            exchange.getResponseBody().write(wrong);
            return true;
        };
        assertRefused().hasMessageContaining("The bytes of tokenizer.json are not those");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[]",
                "{",
                "<html>",
                "{\"siblings\":[]}",
                "{\"sha\":\"main\",\"siblings\":[]}",
                "{\"sha\":\"../../../../../../../../../../../etc/x\"}",
                "{\"sha\":{},\"siblings\":[]}",
                "{\"sha\":\"0123456789abcdef0123456789abcdef01234567\",\"siblings\":[{\"rfilename\":3}]}"
            })
    void listThatIsNone_isRefused(String answer) {
        hub.hubFault = (exchange, name) -> {
            LoopbackHub.sendText(exchange, 200, answer);
            return true;
        };
        assertRefused();
    }

    @Test
    void deepOrEndlessList_isRefused() {
        hub.hubFault = (exchange, name) -> {
            LoopbackHub.sendText(exchange, 200, "[".repeat(3_000_000));
            return true;
        };
        assertRefused();
        byte[] blanks = " ".repeat(1 << 20).getBytes(StandardCharsets.US_ASCII);
        hub.hubFault = (exchange, name) -> {
            exchange.sendResponseHeaders(200, 0);
            for (int i = 0; i < 100; i++) {
                exchange.getResponseBody().write(blanks);
            }
            return true;
        };
        assertRefused().hasMessageContaining("more than 33554432 bytes");
    }

    @Test
    void namesThatLeadElsewhere_areNeverMadePaths() throws IOException {
        hub.hubFault = (exchange, name) -> {
            if (!exchange.getRequestURI().getPath().startsWith("/api/")) {
                return false;
            }
            String siblings = Stream.of(
                            "../../../evil",
                            "/etc/evil",
                            "..\\\\evil",
                            "a\\u0000b",
                            "..",
                            ".",
                            "",
                            "sub/config.json",
                            "x".repeat(5000),
                            "config.json",
                            "tokenizer.json",
                            WEIGHTS)
                    .map(one -> "{\"rfilename\":\"" + one + "\"}")
                    .collect(Collectors.joining(","));
            LoopbackHub.sendText(exchange, 200, "{\"sha\":\"" + hub.commit + "\",\"siblings\":[" + siblings + "]}");
            return true;
        };

        Path folder = download();

        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files).hasSize(3);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "../../evil.safetensors",
                "/etc/evil.safetensors",
                "a\\\\evil.safetensors",
                "sub/evil.safetensors",
                ".evil.safetensors",
                "evil.py",
                "evil.safetensors\\u0000",
                "README.md"
            })
    void indexThatNamesSomethingElse_isRefused(String shard) {
        hub.remove(WEIGHTS);
        hub.file("model.safetensors.index.json", "{\"weight_map\":{\"t\":\"" + shard + "\"}}");
        assertRefused().hasMessageContaining("tensor 't' is said to be in").hasMessageNotContaining("\0");
    }

    @Test
    void indexOfAShardThatTheRepositoryHasNot_isRefused() {
        hub.remove(WEIGHTS);
        hub.file("model.safetensors.index.json", "{\"weight_map\":{\"t\":\"gone.safetensors\"}}");
        assertRefused().hasMessageContaining("has no gone.safetensors, which its model.safetensors.index.json names");
    }

    @ParameterizedTest
    @CsvSource({
        "X-Linked-Etag, ../../../evil",
        "X-Linked-Etag, ''",
        "X-Linked-Etag, .hidden",
        "X-Linked-Size, -1",
        "X-Linked-Size, many",
        "X-Repo-Commit, main",
        "X-Repo-Commit, ffffffffffffffffffffffffffffffffffffffff"
    })
    void headerThatIsNotTheHubs_isRefused(String header, String value) {
        hub.hubFault = (exchange, name) -> {
            if (!name.equals(WEIGHTS)) {
                return false;
            }
            byte[] bytes = hub.bytes(name);
            Map<String, String> headers = new HashMap<>(Map.of(
                    "X-Repo-Commit",
                    hub.commit,
                    "X-Linked-Etag",
                    "\"" + LoopbackHub.etag(bytes) + "\"",
                    "X-Linked-Size",
                    Integer.toString(bytes.length),
                    "Location",
                    hub.storeAddress() + "/stored/" + name));
            headers.put(header, value);
            return status(
                            302,
                            headers.entrySet().stream()
                                    .flatMap(one -> Stream.of(one.getKey(), one.getValue()))
                                    .toArray(String[]::new))
                    .answer(exchange, name);
        };
        assertRefused().hasMessageContaining("answers about model.safetensors");
    }

    @Test
    void modelThatTheDiskHasNoRoomFor_isRefusedBeforeAByteComes() {
        hub.hubFault = (exchange, name) -> name.equals(WEIGHTS)
                && status(
                                302,
                                "X-Repo-Commit",
                                hub.commit,
                                "X-Linked-Etag",
                                LoopbackHub.etag(hub.bytes(name)),
                                "X-Linked-Size",
                                "900000000000000000",
                                "Location",
                                hub.storeAddress() + "/stored/" + name)
                        .answer(exchange, name);
        assertRefused().hasMessageMatching("org/model needs 900,000,000,000 MB more, but the disk of .* MB free.*");
        assertThat(hub.sent(WEIGHTS)).isZero();
    }
}
