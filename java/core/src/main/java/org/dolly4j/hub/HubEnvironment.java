package org.dolly4j.hub;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dolly4j.HubException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the variables of the environment say that huggingface_hub reads, in its order: a name that it has given up
 * counts where the newer one is not set.
 *
 * @param variables the environment
 * @param userHome the user's folder
 */
record HubEnvironment(Map<String, String> variables, Path userHome) {
    private static final Logger LOG = LoggerFactory.getLogger(HubEnvironment.class);
    private static final String DEFAULT_ENDPOINT = "https://huggingface.co";
    private static final String ENDPOINT = "HF_ENDPOINT";
    private static final String HF_HOME = "HF_HOME";
    private static final String TOKEN_PATH = "HF_TOKEN_PATH";
    private static final Set<String> YES = Set.of("1", "ON", "YES", "TRUE");

    /** What stands before the last @ of an address, behind its scheme. */
    private static final Pattern USER_INFO = Pattern.compile("(?s)^([A-Za-z][A-Za-z0-9+.-]*://)?.*@");

    private static final Pattern VARIABLE = Pattern.compile("\\$(?:\\{(\\w+)}|(\\w+))");

    /** It is sent in a header. */
    private static final Pattern TOKEN = Pattern.compile("[\\x21-\\x7e]{1,4096}");

    private static final int MAX_TOKEN_FILE = 64 * 1024;

    /** That of this process. */
    static HubEnvironment current() {
        return of(System.getenv(), System.getProperty("user.home"));
    }

    /**
     * That of these variables. The home folder is what HOME says, as for Python; Java's own asks the system's list of
     * users first.
     *
     * @param userHome the home folder if HOME is not set
     */
    static HubEnvironment of(Map<String, String> variables, String userHome) {
        String home = variables.getOrDefault("HOME", "");
        return new HubEnvironment(variables, Path.of(home.isBlank() ? userHome : home));
    }

    /** A variable that is set, and not to nothing. */
    private Optional<String> value(String... names) {
        for (String name : names) {
            String value = variables.get(name);
            if (value != null && !value.isBlank()) {
                return Optional.of(value.strip());
            }
        }
        return Optional.empty();
    }

    /**
     * Where the hub is; without a slash at its end.
     *
     * @throws HubException if HF_ENDPOINT is no http or https address
     */
    URI endpoint() {
        return endpoint(value(ENDPOINT).orElse(DEFAULT_ENDPOINT), ENDPOINT);
    }

    /**
     * Reads the address of a hub.
     *
     * @param what whose value it is, for the message, which leaves out a name and password
     */
    static URI endpoint(String value, String what) {
        String problem;
        try {
            URI uri = new URI(value.replaceFirst("/+$", ""));
            if (Origin.isWeb(uri) && uri.getRawQuery() == null && uri.getRawFragment() == null) {
                return uri;
            }
            problem = uri.getRawUserInfo() == null ? "no address of a server" : "it has a name or password in it";
        } catch (URISyntaxException e) {
            problem = e.getReason();
        }
        throw new HubException(what + " is '" + USER_INFO.matcher(value).replaceFirst("$1***@") + "' (" + problem
                + "). Expected an address such as " + DEFAULT_ENDPOINT + ".");
    }

    /** The folder of the cache. */
    Path cacheDirectory() {
        for (String name : new String[] {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
            if (value(name).isPresent()) {
                return path(name);
            }
        }
        return home().resolve("hub");
    }

    private Path home() {
        if (value(HF_HOME).isPresent()) {
            return path(HF_HOME);
        }
        Path caches = value("XDG_CACHE_HOME").isPresent() ? path("XDG_CACHE_HOME") : userHome.resolve(".cache");
        return caches.resolve("huggingface");
    }

    /** Python's expanduser and expandvars, of which a shell has mostly left nothing to do. */
    private Path path(String name) {
        String value = value(name).orElseThrow();
        Matcher matcher = VARIABLE.matcher(value);
        String expanded = matcher.replaceAll(found -> {
            String variable = found.group(1) != null ? found.group(1) : found.group(2);
            return Matcher.quoteReplacement(variables.getOrDefault(variable, found.group()));
        });
        try {
            return expanded.equals("~") || expanded.startsWith("~/")
                    ? userHome.resolve(expanded.substring(Math.min(2, expanded.length())))
                    : Path.of(expanded);
        } catch (InvalidPathException e) {
            throw new HubException(name + " is '" + value + "', which is no path: " + e.getReason(), e);
        }
    }

    /**
     * The access token, from the environment or else from the file that the hub's own tools write.
     *
     * @throws HubException if the file is there but cannot be read, or the token has a character that none has
     */
    Optional<String> token() {
        for (String name : new String[] {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
            Optional<String> token = value(name);
            if (token.isPresent()) {
                return Optional.of(token(token.get(), name));
            }
        }
        if (isYes("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
            return Optional.empty();
        }
        Path file = value(TOKEN_PATH).isPresent() ? path(TOKEN_PATH) : home().resolve("token");
        try {
            if (Files.size(file) > MAX_TOKEN_FILE) {
                throw new HubException("The file " + file + " is too long to hold a token. Set " + TOKEN_PATH
                        + " to the file that does, or HF_TOKEN.");
            }
            String token = Files.readString(file).strip();
            return token.isEmpty() ? Optional.empty() : Optional.of(token(token, "The token in " + file));
        } catch (NoSuchFileException | NotDirectoryException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw new HubException(
                    "The token in " + file + " cannot be read (" + e + "). Make it readable, or set HF_TOKEN.", e);
        }
    }

    /**
     * Reads a token.
     *
     * @param what whose value it is, for the message, which does not hold the token
     */
    static String token(String value, String what) {
        if (!TOKEN.matcher(value).matches()) {
            throw new HubException(what + " has a blank or another character that no access token has. Copy it anew.");
        }
        return value;
    }

    /** Whether the network may not be used. */
    boolean offline() {
        return value("HF_HUB_OFFLINE").isPresent() ? isYes("HF_HUB_OFFLINE") : isYes("TRANSFORMERS_OFFLINE");
    }

    private boolean isYes(String name) {
        return YES.contains(value(name).orElse("").toUpperCase(Locale.ROOT));
    }

    /**
     * The proxies, if any is named; where none is, Java's own settings hold. One of another kind that is named for all
     * protocols is meant for other programs.
     *
     * @throws HubException if one that is named for https or http is no http address
     */
    Optional<EnvironmentProxies> proxies() {
        Optional<URI> all = proxyForAll();
        Optional<URI> https = proxy("https_proxy").or(() -> all);
        Optional<URI> http = proxy("http_proxy").or(() -> all);
        return https.isEmpty() && http.isEmpty()
                ? Optional.empty()
                : Optional.of(new EnvironmentProxies(
                        https, http, value("no_proxy", "NO_PROXY").orElse("")));
    }

    private Optional<URI> proxy(String name) {
        for (String one : new String[] {name, name.toUpperCase(Locale.ROOT)}) {
            Optional<String> value = value(one);
            if (value.isPresent()) {
                return Optional.of(EnvironmentProxies.address(value.get(), one));
            }
        }
        return Optional.empty();
    }

    private Optional<URI> proxyForAll() {
        try {
            return proxy("all_proxy");
        } catch (HubException e) {
            LOG.warn("{} It is not used.", e.getMessage());
            return Optional.empty();
        }
    }

    /** Leaves out the values: one of them is a secret. */
    @Override
    public String toString() {
        return "HubEnvironment[" + variables.size() + " variables]";
    }
}
