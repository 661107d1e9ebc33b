package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.dolly4j.HubException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the hub says in place of what was asked for: what to do about it, and where redirects may lead. */
@Timeout(30)
class HubRefusalsTest extends HubFixture {
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

    @ParameterizedTest
    @ValueSource(ints = {401, 403, 404})
    void refusal_isOneAlsoWhereTheModelIsInTheCache(int status) {
        download();
        hub.hubFault = status(status);
        assertRefused().hasMessageContaining("(" + status + ")");
    }

    @ParameterizedTest
    @ValueSource(ints = {302, 407, 418, 511})
    void answerThatIsNotTheHubs_leavesWhatIsInTheCache(int status) {
        Path before = download();
        hub.hubFault = status(status, "Location", "ftp://portal.example.org/");
        assertThat(download()).isEqualTo(before);
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
                .isInstanceOf(UnavailableException.class)
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

    @Test
    void serverThatDoesNotProveWhoItIs_isNotAskedAgain(@TempDir Path folder) throws Exception {
        HttpsServer server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(vouchedForByNobody(folder.resolve("keys"))));
        server.start();
        try {
            Hub secure = new Hub(options()
                    .endpoint(URI.create(
                            "https://localhost:" + server.getAddress().getPort()))
                    .firstWait(Duration.ofMinutes(2))
                    .build());

            assertThatThrownBy(() -> secure.download(MODEL))
                    .isInstanceOf(HubException.class)
                    .hasMessageContaining("it does not prove who it is")
                    .hasMessageContaining("trustStore");
        } finally {
            server.stop(0);
        }
    }

    /** What a server needs that has made its certificate itself. */
    private static SSLContext vouchedForByNobody(Path file) throws Exception {
        String password = "password";
        List<String> command = List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-keystore",
                file.toString(),
                "-storepass",
                password);
        assertThat(new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor())
                .isZero();
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(KeyStore.getInstance(file.toFile(), password.toCharArray()), password.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        return context;
    }
}
