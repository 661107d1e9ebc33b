package org.dolly4j.hub;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.dolly4j.HubException;

/** The proxies that HTTPS_PROXY and HTTP_PROXY name, for all hosts that NO_PROXY does not name. */
final class EnvironmentProxies extends ProxySelector {
    private final Optional<URI> https;
    private final Optional<URI> http;
    private final List<String> exceptions;

    /**
     * @param https for https addresses
     * @param http for http addresses
     * @param exceptions hosts with commas between: a name stands for itself and all names below it, {@code *} for all
     */
    EnvironmentProxies(Optional<URI> https, Optional<URI> http, String exceptions) {
        this.https = https;
        this.http = http;
        this.exceptions = Arrays.stream(exceptions.split(",", -1))
                .map(one -> one.strip().toLowerCase(Locale.ROOT).replaceFirst("^\\*?\\.", ""))
                .filter(one -> !one.isEmpty())
                .toList();
    }

    /**
     * Reads the address of a proxy; {@code host:port} means http.
     *
     * @param what the variable, for the message, which does not hold the value: it may have a password in it
     * @throws HubException if it is no http address
     */
    static URI address(String value, String what) {
        try {
            URI uri = new URI(value.contains("://") ? value : "http://" + value);
            if ("http".equalsIgnoreCase(uri.getScheme()) && uri.getHost() != null) {
                return uri;
            }
        } catch (URISyntaxException e) {
            // Its message would show the value.
        }
        throw new HubException(
                what + " is not the address of an http proxy. Expected one such as http://proxy.example.org:3128.");
    }

    @Override
    public List<Proxy> select(URI uri) {
        return List.of(proxyFor(uri)
                .map(proxy -> new Proxy(
                        Proxy.Type.HTTP,
                        InetSocketAddress.createUnresolved(
                                proxy.getHost(), proxy.getPort() >= 0 ? proxy.getPort() : 80)))
                .orElse(Proxy.NO_PROXY));
    }

    /** What the proxy for an address knows this user by, as the value of a header. */
    Optional<String> authorization(URI uri) {
        return proxyFor(uri)
                .map(URI::getUserInfo)
                .map(user -> "Basic " + Base64.getEncoder().encodeToString(user.getBytes(StandardCharsets.UTF_8)));
    }

    private Optional<URI> proxyFor(URI uri) {
        Origin origin = Origin.of(uri);
        return exceptions.stream().anyMatch(exception -> excepts(exception, origin))
                ? Optional.empty()
                : origin.isSecure() ? https : http;
    }

    private static boolean excepts(String exception, Origin origin) {
        return exception.equals("*")
                || exception.equals(origin.host())
                || exception.equals(origin.host() + ":" + origin.port())
                || origin.host().endsWith("." + exception);
    }

    @Override
    public void connectFailed(URI uri, SocketAddress proxy, IOException failure) {
        // The request fails with the same, and says so.
    }
}
