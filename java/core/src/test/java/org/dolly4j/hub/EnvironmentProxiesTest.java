package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.dolly4j.HubException;
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
