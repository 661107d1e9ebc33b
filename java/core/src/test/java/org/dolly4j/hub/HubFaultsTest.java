package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.HubException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Servers and networks that misbehave: in the end the right bytes, or one sentence that says what to do. */
@Timeout(30)
class HubFaultsTest extends HubFixture {
    private final AtomicInteger faults = new AtomicInteger();

    private AbstractThrowableAssert<?, ?> assertRefused() {
        return assertThatThrownBy(this::download).isInstanceOf(HubException.class);
    }

    private void assertNoBlobOfTheWeights() {
        assertThat(repositoryFolder().resolve("blobs").resolve(LoopbackHub.etag(hub.bytes(WEIGHTS))))
                .doesNotExist();
    }

    private static LoopbackHub.Fault status(int status, String... headers) {
        return (exchange, name) -> {
            for (int i = 0; i < headers.length; i += 2) {
                exchange.getResponseHeaders().add(headers[i], headers[i + 1]);
            }
            LoopbackHub.sendText(exchange, status, "{}");
            return true;
        };
    }

    /** Announces all of a range, and ends the connection within it. */
    private void cut(HttpExchange exchange, String name) throws IOException, InterruptedException {
        int[] range = range(exchange);
        exchange.getResponseHeaders().add("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHTS_BYTES);
        exchange.sendResponseHeaders(206, range[1] - range[0] + 1L);
        hub.write(exchange, name, range[0], range[0] + (range[1] - range[0]) / 2);
        throw new IOException("cut on purpose");
    }

    private static int[] range(HttpExchange exchange) {
        String[] ends = exchange.getRequestHeaders()
                .getFirst("Range")
                .substring("bytes=".length())
                .split("-", -1);
        return new int[] {Integer.parseInt(ends[0]), Integer.parseInt(ends[1])};
    }

    @Test
    void cutConnections_areTakenUpWhereTheyEnded() throws IOException {
        hub.storeFault = (exchange, name) -> {
            if (faults.incrementAndGet() % 2 == 1) {
                cut(exchange, name);
            }
            return false;
        };

        assertIsModel(download());

        assertThat(hub.sent(WEIGHTS)).as("nothing is sent twice").isEqualTo(WEIGHTS_BYTES);
    }

    @Test
    void connectionThatIsAlwaysCutAtOnce_endsTheDownload() {
        hub.storeFault = (exchange, name) -> {
            faults.incrementAndGet();
            throw new IOException("cut on purpose");
        };

        assertRefused().hasMessageContaining("org/model cannot be downloaded: 127.0.0.1 cannot be reached");

        assertThat(faults.get()).isBetween(Retries.MOST + 1, 4 * (Retries.MOST + 1) * 2);
        assertNoBlobOfTheWeights();
    }

    @Test
    void trickle_isGivenUpAndAskedForAgain() throws IOException {
        CountDownLatch end = new CountDownLatch(1);
        hub.storeFault = (exchange, name) -> {
            if (faults.getAndIncrement() > 0) {
                return false;
            }
            int[] range = range(exchange);
            exchange.getResponseHeaders()
                    .add("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHTS_BYTES);
            exchange.sendResponseHeaders(206, range[1] - range[0] + 1L);
            for (int at = range[0]; at <= range[1] && !end.await(50, TimeUnit.MILLISECONDS); at++) {
                hub.write(exchange, name, at, at + 1);
            }
            return true;
        };

        assertIsModel(new Hub(options().patience(Duration.ofMillis(700)).build()).download(MODEL));
        end.countDown();
    }

    @Test
    void silence_endsTheDownload() {
        CountDownLatch end = new CountDownLatch(1);
        hub.storeFault = (exchange, name) -> end.await(25, TimeUnit.SECONDS);
        Hub impatient = new Hub(options().patience(Duration.ofMillis(300)).build());

        assertThatThrownBy(() -> impatient.download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("no answer within 0.3 seconds");
        end.countDown();
    }

    @Test
    void silenceWithinTheList_endsTheDownload() {
        CountDownLatch end = new CountDownLatch(1);
        hub.hubFault = (exchange, name) -> {
            exchange.sendResponseHeaders(200, 100);
            exchange.getResponseBody().flush();
            return end.await(25, TimeUnit.SECONDS);
        };
        Hub impatient = new Hub(options().patience(Duration.ofMillis(300)).build());

        assertThatThrownBy(() -> impatient.download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("nothing came for 0.3 seconds");
        end.countDown();
    }

    @Test
    void serverThatIgnoresRanges_sendsTheWhole() throws IOException {
        hub.storeFault = (exchange, name) -> {
            hub.sendWhole(exchange, name);
            return true;
        };
        assertIsModel(download());
    }

    @Test
    void serverThatIgnoresRangesAndBreaksOff_sendsTheWholeAgain() throws IOException {
        hub.storeFault = (exchange, name) -> {
            boolean whole = !exchange.getRequestHeaders().containsKey("Range");
            if (whole && faults.getAndIncrement() == 0) {
                exchange.sendResponseHeaders(200, WEIGHTS_BYTES);
                hub.write(exchange, name, 0, WEIGHTS_BYTES / 2);
                throw new IOException("cut on purpose");
            }
            hub.sendWhole(exchange, name);
            return true;
        };
        assertIsModel(download());
        assertThat(faults.get()).isEqualTo(2);
    }

    @Test
    void serverThatAnswersAnotherRange_isAskedForTheWhole() throws IOException {
        hub.storeFault = (exchange, name) -> {
            if (exchange.getRequestHeaders().containsKey("Range")) {
                int[] range = range(exchange);
                hub.sendRange(exchange, name, range[0] + 1, Math.min(range[1] + 1, WEIGHTS_BYTES - 1));
                return true;
            }
            return false;
        };
        assertIsModel(download());
    }

    @Test
    void serverThatSaysTheRangeIsNone_isAskedForTheWhole() throws IOException {
        hub.storeFault = (exchange, name) ->
                exchange.getRequestHeaders().containsKey("Range") && status(416).answer(exchange, name);
        assertIsModel(download());
    }

    @Test
    void corruptBytes_areBroughtOnceMore() throws IOException {
        hub.storeFault = (exchange, name) -> faults.getAndIncrement() == 0 && corrupted(exchange);
        assertIsModel(download());
    }

    private static boolean corrupted(HttpExchange exchange) throws IOException {
        int[] range = range(exchange);
        byte[] wrong = new byte[range[1] - range[0] + 1];
        exchange.getResponseHeaders().add("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHTS_BYTES);
        exchange.sendResponseHeaders(206, wrong.length);
        exchange.getResponseBody().write(wrong);
        return true;
    }

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

    @Test
    void damagedLeftover_isDownloadedAnew() throws IOException {
        hub.storeFault = (exchange, name) -> {
            if (faults.incrementAndGet() > 6) {
                throw new IOException("cut on purpose");
            }
            return false;
        };
        assertRefused();
        Path partial = PartialBlob.bytesFile(
                repositoryFolder().resolve("blobs").resolve(LoopbackHub.etag(hub.bytes(WEIGHTS))));
        byte[] left = Files.readAllBytes(partial);
        for (int at = 0; at < left.length; at += 1000) {
            left[at] ^= 1;
        }
        Files.write(partial, left);
        hub.storeFault = (exchange, name) -> false;

        assertIsModel(download());
    }

    @Test
    void fileOfAnotherSizeThanStated_isRefused() {
        hub.hubFault = (exchange, name) -> {
            if (name.equals("tokenizer.json") && exchange.getRequestMethod().equals("GET")) {
                LoopbackHub.sendText(exchange, 200, "{}");
                return true;
            }
            return false;
        };
        assertRefused().hasMessageContaining("sends 2 bytes of tokenizer.json (status 200) where the hub states 17");
    }

    @Test
    void tooManyRequests_waitsAsLongAsTheServerAsks() throws IOException {
        hub.hubFault = (exchange, name) ->
                faults.getAndIncrement() == 0 && status(429, "Retry-After", "1").answer(exchange, name);
        long start = System.nanoTime();

        assertIsModel(download());

        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Duration.ofMillis(990));
    }

    @Test
    void tooManyRequestsUntilADate_areTriedAgainThen() throws IOException {
        String past = DateTimeFormatter.RFC_1123_DATE_TIME.format(
                ZonedDateTime.now(ZoneOffset.UTC).minusMinutes(1));
        hub.storeFault = (exchange, name) -> faults.getAndIncrement() == 0
                && status(429, "Retry-After", past).answer(exchange, name);
        assertIsModel(download());
    }

    @Test
    void serverThatAsksToWaitForHours_isNotWaitedFor() {
        hub.hubFault = status(429, "Retry-After", "7200");
        assertRefused().hasMessageContaining("too many requests from here (429) and asks to wait 7200 seconds");
        assertThat(hub.log).hasSize(1);
    }

    @Test
    void failuresThatPass_areTriedAgain() throws IOException {
        Map<String, AtomicInteger> tries = new ConcurrentHashMap<>();
        LoopbackHub.Fault twice = (exchange, name) -> {
            String key = exchange.getRequestMethod()
                    + name
                    + exchange.getRequestHeaders().getFirst("Range");
            int attempt = tries.computeIfAbsent(key, one -> new AtomicInteger()).incrementAndGet();
            return attempt <= 2 && status(attempt == 1 ? 503 : 502).answer(exchange, name);
        };
        hub.hubFault = twice;
        hub.storeFault = twice;
        assertIsModel(download());
    }

    @Test
    void failureThatStays_isSaid() {
        hub.hubFault = status(500);
        assertRefused().hasMessageContaining("127.0.0.1 has a failure of its own (500)");
        assertThat(hub.log).hasSize(Retries.MOST + 1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
            401 | | no  | has no model org/model, or one that is private (401)
            401 | | yes | does not take the access token for org/model (401)
            403 | | no  | Accept its terms at
            403 | | yes | The access token may not read org/model (403)
            404 | RepoNotFound     | no | has no model org/model, or no revision 'main' of it (404)
            404 | RevisionNotFound | no | has no revision 'main' (404)
            418 | | no  | answered 418 for the list of files
            """)
    void refusal_saysWhatToDo(int status, String code, String token, String expected) {
        hub.hubFault = code == null ? status(status) : status(status, "X-Error-Code", code);
        HubOptions.Builder options = token.equals("yes") ? options().token("hf_secret") : options();

        assertThatThrownBy(() -> new Hub(options.build()).download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining(expected)
                .message()
                .doesNotContain("hf_secret");
        assertThat(hub.log).as("asked once").hasSize(1);
    }

    @Test
    void expiredAddressOfTheStore_isAskedForAnew() throws IOException {
        hub.storeFault =
                (exchange, name) -> faults.getAndIncrement() == 0 && status(403).answer(exchange, name);
        assertIsModel(download());
    }

    @Test
    void redirectLoop_isLeft() {
        hub.hubFault = status(302, "Location", "/again");
        assertRefused().hasMessageContaining("redirects more than 10 times for the list of files");
        assertThat(hub.log).hasSize(11);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "file:///etc/passwd",
                "ftp://127.0.0.1/",
                "http://user:password@127.0.0.1/",
                "http://",
                "",
                "http://127.0.0.1:99999/",
                "http://[",
                "javascript:alert(1)"
            })
    void redirectToWhatIsNoServer_isNotFollowed(String location) {
        hub.hubFault = status(302, "Location", location);
        assertRefused();
    }

    @Test
    void redirectToAnUnencryptedAddress_isNotFollowed() {
        assertThatThrownBy(() -> HubClient.target(
                        URI.create("https://hub.example.org/a"), "http://hub.example.org/a", "config.json"))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("redirects to an unencrypted address for config.json");
    }

    @Test
    void redirectWithWhatNoAddressMayHold_isUnderstood() {
        assertThat(HubClient.target(URI.create("http://hub.example.org/a"), "/b?name=\"x y\u00e9\"%20&z=1", "a"))
                .isEqualTo(URI.create("http://hub.example.org/b?name=%22x%20y%C3%A9%22%20&z=1"));
    }

    @Test
    void relativeRedirect_isFollowedByTheTokenToo() throws IOException {
        hub.hubFault = (exchange, name) -> exchange.getRequestURI().getPath().startsWith("/org/model/resolve/")
                && name.equals("config.json")
                && exchange.getRequestURI().getQuery() == null
                && status(307, "Location", exchange.getRequestURI() + "?moved=1")
                        .answer(exchange, name);

        assertIsModel(new Hub(options().token("hf_secret").build()).download(MODEL));
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

    @Test
    void cacheThatCannotBeWritten_isSaid() throws IOException {
        Path file = Files.writeString(cache.resolve("file"), "");
        assertThatThrownBy(() -> new Hub(options().cacheDirectory(file).build()).download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("HF_HUB_CACHE");
    }
}
