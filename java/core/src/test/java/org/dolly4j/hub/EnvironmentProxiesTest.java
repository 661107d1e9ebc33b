package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.dolly4j.HubException;
import org.dolly4j.JavaProcess;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(30)
class EnvironmentProxiesTest extends HubFixture {
    private static EnvironmentProxies proxies(Map<String, String> variables) {
        return new HubEnvironment(variables, Path.of("/no-home")).proxies().orElseThrow();
    }

    @Test
    void eachScheme_hasItsProxy() {
        EnvironmentProxies proxies = proxies(Map.of("HTTPS_PROXY", "http://secure:3128", "http_proxy", "plain:8080"));
        assertThat(proxies.select(URI.create("https://hub.example.org/a")))
                .containsExactly(new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("secure", 3128)));
        assertThat(proxies.select(URI.create("http://hub.example.org/a")))
                .containsExactly(new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("plain", 8080)));
    }

    @Test
    void lowerCase_countsBeforeUpperCase() {
        assertThat(proxies(Map.of("HTTPS_PROXY", "http://upper", "https_proxy", "http://lower"))
                        .select(URI.create("https://hub.example.org/")))
                .containsExactly(new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("lower", 80)));
    }

    @ParameterizedTest
    @CsvSource({
        "example.org, true",
        ".example.org, true",
        "*.example.org, true",
        "'a, HUB.example.org', true",
        "hub.example.org:443, true",
        "*, true",
        "hub.example.org:80, false",
        "ample.org, false",
        "'', false"
    })
    void noProxy_namesHostsAndWhatIsBelowThem(String exceptions, boolean direct) {
        assertThat(proxies(Map.of("ALL_PROXY", "http://proxy", "NO_PROXY", exceptions))
                        .select(URI.create("https://hub.example.org/"))
                        .equals(List.of(Proxy.NO_PROXY)))
                .isEqualTo(direct);
    }

    private HubOptions through(String proxy, String token) {
        HubEnvironment environment = new HubEnvironment(Map.of("http_proxy", proxy, "no_proxy", "127.0.0.1"), cache);
        return HubOptions.builder(environment)
                .endpoint(URI.create("http://hub.example.org"))
                .cacheDirectory(cache)
                .token(token)
                .partBytes(PART_BYTES)
                .build();
    }

    @Test
    void proxy_isAskedForWhatIsElsewhere_withItsOwnPassword() throws IOException {
        // The loopback hub takes the part of the proxy: it answers as if it were hub.example.org.
        String proxy = "http://name:pass%20word@127.0.0.1:" + hub.endpoint().getPort();

        assertIsModel(new Hub(through(proxy, "hf_secret")).download(MODEL));

        assertThat(hub.log).filteredOn(LoopbackHub.Asked::hubItself).allSatisfy(asked -> {
            assertThat(asked.headers().getFirst("Host")).isEqualTo("hub.example.org");
            assertThat(asked.headers().getFirst("Proxy-Authorization")).isEqualTo("Basic bmFtZTpwYXNzIHdvcmQ=");
            assertThat(asked.headers().getFirst("Authorization")).isEqualTo("Bearer hf_secret");
        });
        assertThat(hub.log).filteredOn(asked -> !asked.hubItself()).isNotEmpty().allSatisfy(asked -> assertThat(
                        asked.headers().keySet())
                .doesNotContain("Proxy-authorization", "Authorization"));
    }

    /** Asks an https hub: address of the proxy, cache. */
    static final class ThroughProxy {
        public static void main(String[] arguments) {
            HubEnvironment environment = new HubEnvironment(Map.of("HTTPS_PROXY", arguments[0]), Path.of("/no-home"));
            HubOptions options = HubOptions.builder(environment)
                    .endpoint(URI.create("https://hub.example.org"))
                    .cacheDirectory(Path.of(arguments[1]))
                    .build();
            try {
                new Hub(options).download(MODEL);
            } catch (HubException e) {
                System.out.println(e.getMessage());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "407, The proxy for hub.example.org asks who you are (407)",
        "403, The proxy for hub.example.org does not let you through to it (403)"
    })
    void httpsHub_isReachedByATunnel_forWhichTheProxyGetsItsPassword(int status, String message) throws Exception {
        try (ServerSocket proxy = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            CompletableFuture<List<String>> asked = CompletableFuture.supplyAsync(() -> refuse(proxy, status));
            JavaProcess run = new JavaProcess(
                    ThroughProxy.class, "http://name:pass%20word@127.0.0.1:" + proxy.getLocalPort(), cache.toString());
            run.options.add("-Djdk.http.auth.tunneling.disabledSchemes=");

            assertThat(run.output()).contains(message);

            assertThat(asked.join())
                    .contains(
                            "CONNECT hub.example.org:443 HTTP/1.1", "Proxy-Authorization: Basic bmFtZTpwYXNzIHdvcmQ=");
        }
    }

    /** Answers one request with a status, and returns its head. */
    private static List<String> refuse(ServerSocket proxy, int status) {
        try (Socket tunnel = proxy.accept()) {
            BufferedReader lines =
                    new BufferedReader(new InputStreamReader(tunnel.getInputStream(), StandardCharsets.ISO_8859_1));
            List<String> head = new ArrayList<>();
            for (String line = lines.readLine(); !line.isEmpty(); line = lines.readLine()) {
                head.add(line);
            }
            String answer = "HTTP/1.1 " + status + " No\r\nContent-Length: 0\r\n\r\n";
            tunnel.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
            return head;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void proxyThatWantsAName_isSaid() {
        hub.hubFault = (exchange, name) -> {
            exchange.getResponseHeaders().add("Proxy-Authenticate", "Basic realm=\"proxy\"");
            LoopbackHub.sendText(exchange, 407, "");
            return true;
        };
        assertThatThrownBy(() -> new Hub(through(hub.endpoint().toString(), "hf_secret")).download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("The proxy for hub.example.org asks who you are (407)");
    }
}
