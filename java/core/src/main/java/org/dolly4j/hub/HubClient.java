package org.dolly4j.hub;

import java.io.EOFException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;
import org.dolly4j.HubException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks the hub. Redirects are followed here rather than by the JDK's client: the token goes to the hub's own origin
 * alone, and what began encrypted stays so. Nothing is sent but the address (id, revision, name of a file), the range
 * of bytes, the token if there is one, and the name and version of this library.
 */
final class HubClient {
    /** What the JDK's client says of a proxy that opens no tunnel and asks for no password. */
    private static final Pattern NO_TUNNEL = Pattern.compile("Tunnel failed, got: ([0-9]{3})");

    private static final Logger LOG = LoggerFactory.getLogger(HubClient.class);
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);
    private static final int MAX_REDIRECTS = 10;
    private static final int RANGE_NOT_SATISFIABLE = 416;
    private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
    private static final Pattern NO_ADDRESS = Pattern.compile("[^!#$%&'()*+,/:;=?@\\[\\]A-Za-z0-9._~-]+");
    private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");

    private final HubOptions options;
    private final Origin origin;
    private final Optional<String> token;
    private final Optional<EnvironmentProxies> proxies;
    private final Refusals refusals;
    private final HttpClient http;

    /** @throws HubException if the environment names a token or a proxy that cannot be used */
    HubClient(HubOptions options, HubRepository repository) {
        this.options = options;
        origin = Origin.of(options.endpoint());
        token = options.token();
        proxies = options.proxies();
        refusals = new Refusals(options, token.isPresent(), repository);
        // HTTP/2 would put all ranges on one connection, which is what several are to avoid.
        HttpClient.Builder builder = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER)
                .connectTimeout(CONNECT_TIMEOUT);
        proxies.ifPresent(builder::proxy);
        http = builder.build();
        if (token.isPresent() && !origin.isSecure() && !LOOPBACK.contains(origin.host())) {
            LOG.warn(
                    "The access token is sent to {} unencrypted: anyone on the way can read it. Use an https address,"
                            + " or no token.",
                    options.endpoint());
        }
    }

    /**
     * What was answered in the end.
     *
     * @param status 200 or 206, 416 if there was a range, or that of a redirect that was not followed
     * @param hops headers of the answers of the hub itself, first to last
     * @param headers headers of the last answer
     * @param body what it holds
     */
    record Answer(int status, List<HttpHeaders> hops, HttpHeaders headers, ResponseBody body) implements AutoCloseable {
        /** A header as the first of the hub's answers that has it states it. */
        Optional<String> hubHeader(String name) {
            return hops.stream().flatMap(one -> one.firstValue(name).stream()).findFirst();
        }

        @Override
        public void close() {
            body.close();
        }
    }

    /** An address of the hub: the endpoint and a path that begins with a slash and has nothing to escape. */
    URI address(String path) {
        return URI.create(options.endpoint() + path);
    }

    /**
     * Asks for what the hub says about a file, and does not follow where it points to another host for the bytes.
     *
     * @param what the file, for messages
     * @throws TransferException if that may work in a moment
     * @throws HubException if it is refused
     * @throws UnavailableException if something else than the hub answers
     */
    Answer head(URI address, String what) throws TransferException, InterruptedException {
        return send("HEAD", address, what, Optional.empty());
    }

    /**
     * Asks for bytes, wherever they are.
     *
     * @param what the file, for messages
     * @param range value of the header Range
     * @throws TransferException if that may work in a moment
     * @throws HubException if it is refused
     * @throws UnavailableException if something else than the hub answers
     */
    Answer get(URI address, String what, Optional<String> range) throws TransferException, InterruptedException {
        return send("GET", address, what, range);
    }

    private Answer send(String method, URI start, String what, Optional<String> range)
            throws TransferException, InterruptedException {
        List<HttpHeaders> hops = new ArrayList<>();
        URI uri = start;
        for (int redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
            boolean hubItself = Origin.of(uri).equals(origin);
            HttpResponse<ResponseBody> response = exchange(method, uri, hubItself, range);
            int status = response.statusCode();
            if (response.body() == null) { // the JDK's client gives none where a proxy wants a password for a tunnel
                throw refusals.proxyRefusal(status, uri);
            }
            if (hubItself) {
                hops.add(response.headers());
            }
            if (REDIRECTS.contains(status)) {
                uri = target(uri, response.headers().firstValue("Location").orElse(""), what);
                if (method.equals("HEAD") && !Origin.of(uri).equals(origin)) {
                    return new Answer(status, hops, response.headers(), response.body());
                }
                response.body().discard();
            } else if (status == 200 || status == 206 || (status == RANGE_NOT_SATISFIABLE && range.isPresent())) {
                return new Answer(status, hops, response.headers(), response.body());
            } else {
                response.body().discard();
                throw refusals.refusal(status, response.headers(), uri, hubItself, what);
            }
        }
        throw new UnavailableException(options.endpoint() + " redirects more than " + MAX_REDIRECTS + " times for "
                + what + ". Something between here and the hub answers in its place, or HF_ENDPOINT is wrong.");
    }

    private HttpResponse<ResponseBody> exchange(String method, URI uri, boolean hubItself, Optional<String> range)
            throws TransferException, InterruptedException {
        try {
            HttpRequest request = request(method, uri, hubItself, range);
            HttpResponse<ResponseBody> response = http.send(request, info -> new ResponseBody(options.patience()));
            LOG.debug("{} {}{}: {}", method, uri.getHost(), uri.getPath(), response.statusCode());
            return response;
        } catch (SSLException e) {
            throw new TransferException(
                    uri.getHost() + " cannot be reached: it does not prove who it is (" + e.getMessage() + "). If a"
                            + " proxy takes its place, let Java trust that: -Djavax.net.ssl.trustStore=FILE",
                    e,
                    true);
        } catch (IOException e) {
            Matcher tunnel = NO_TUNNEL.matcher(String.valueOf(e.getMessage()));
            if (tunnel.matches()) {
                throw refusals.proxyRefusal(Integer.parseInt(tunnel.group(1)), uri);
            }
            throw new TransferException(uri.getHost() + " cannot be reached: " + reason(e), e);
        } catch (IllegalArgumentException e) { // a port above 65535, for one
            throw new UnavailableException(
                    uri.getHost() + " cannot be asked for anything by that address (" + e.getMessage()
                            + "). Something between here and the hub answers in its place, or HF_ENDPOINT is wrong.",
                    e);
        }
    }

    private HttpRequest request(String method, URI uri, boolean hubItself, Optional<String> range) {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri)
                .method(method, HttpRequest.BodyPublishers.noBody())
                .timeout(options.patience())
                .header("User-Agent", UserAgent.VALUE)
                .header("Accept-Encoding", "identity");
        if (hubItself) {
            token.ifPresent(value -> request.header("Authorization", "Bearer " + value));
        }
        proxies.flatMap(all -> all.authorization(uri)).ifPresent(value -> request.header("Proxy-Authorization", value));
        range.ifPresent(value -> request.header("Range", value));
        return request.build();
    }

    /**
     * Where a redirect leads.
     *
     * @throws UnavailableException if it is not to be followed
     */
    static URI target(URI from, String location, String what) {
        URI target;
        try {
            target = from.resolve(new URI(escaped(location)));
        } catch (URISyntaxException e) {
            throw badRedirect(from, what, "no address");
        }
        if (location.isEmpty() || !Origin.isWeb(target)) {
            throw badRedirect(from, what, "no http or https address");
        }
        if (Origin.of(from).isSecure() && !Origin.of(target).isSecure()) {
            throw badRedirect(from, what, "an unencrypted address");
        }
        return target;
    }

    /** With what no address may hold written as %XX: some servers send it as it is. */
    private static String escaped(String location) {
        return NO_ADDRESS
                .matcher(location)
                .replaceAll(found -> "%"
                        + HexFormat.ofDelimiter("%")
                                .withUpperCase()
                                .formatHex(found.group().getBytes(StandardCharsets.UTF_8)));
    }

    private static UnavailableException badRedirect(URI from, String what, String found) {
        return new UnavailableException(from.getHost() + " redirects to " + found + " for " + what
                + ", which is not followed. Something between here and the hub answers in its place, or HF_ENDPOINT is"
                + " wrong.");
    }

    private String reason(IOException failure) {
        if (failure instanceof HttpConnectTimeoutException) {
            return "no connection within " + ResponseBody.seconds(CONNECT_TIMEOUT) + " seconds";
        }
        if (failure instanceof HttpTimeoutException) {
            return "no answer within " + ResponseBody.seconds(options.patience()) + " seconds";
        }
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof UnresolvedAddressException) {
                return "its name is not known";
            }
            if (cause instanceof EOFException) {
                return "it closed the connection without an answer";
            }
        }
        if (failure instanceof ConnectException && failure.getMessage() == null) {
            return "it takes no connection";
        }
        return failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
    }
}
