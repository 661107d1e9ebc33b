package org.dolly4j.hub;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dolly4j.HubException;

/**
 * How models are downloaded, and where they are kept. What is not stated is what the environment says, by the variables
 * that Python's huggingface_hub reads: {@code HF_HOME}, {@code HF_HUB_CACHE}, {@code HF_TOKEN}, {@code HF_TOKEN_PATH},
 * {@code HF_ENDPOINT}, {@code HF_HUB_OFFLINE}, their older names, and {@code HTTPS_PROXY}, {@code HTTP_PROXY}, {@code
 * NO_PROXY}. Immutable.
 */
public final class HubOptions {
    /** Bytes of a range that is asked for at once. */
    private static final int PART_BYTES = 32 << 20;

    private static final int CONNECTIONS = 8;
    private static final int MAX_CONNECTIONS = 64;
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Duration FIRST_WAIT = Duration.ofSeconds(1);

    private final URI endpoint;
    private final Path cacheDirectory;
    private final Supplier<Optional<String>> token;
    private final boolean offline;
    private final int connections;
    private final Duration patience;
    private final Consumer<? super DownloadProgress> progress;
    private final HubEnvironment environment;
    private final Duration firstWait;
    private final int partBytes;

    private HubOptions(Builder builder) {
        endpoint = builder.endpoint;
        cacheDirectory = builder.cacheDirectory;
        token = builder.token;
        offline = builder.offline;
        connections = builder.connections;
        patience = builder.patience;
        progress = builder.progress;
        environment = builder.environment;
        firstWait = builder.firstWait;
        partBytes = builder.partBytes;
    }

    /**
     * What the environment says. Its token and proxies are looked at when the hub is asked, and no sooner: who needs
     * none, or only the cache, is not refused for one that cannot be used.
     *
     * @throws HubException if another variable has a value that cannot be used
     */
    public static HubOptions fromEnvironment() {
        return builder().build();
    }

    /**
     * A builder that starts from what the environment says, as {@link #fromEnvironment}.
     *
     * @throws HubException if a variable, but for token and proxies, has a value that cannot be used
     */
    public static Builder builder() {
        return new Builder(HubEnvironment.current());
    }

    /** A builder that starts from an environment of choice. */
    static Builder builder(HubEnvironment environment) {
        return new Builder(environment);
    }

    /** Where the hub is; without a slash at its end. */
    public URI endpoint() {
        return endpoint;
    }

    /** The folder of the cache: it holds a folder for each repository. */
    public Path cacheDirectory() {
        return cacheDirectory;
    }

    /**
     * What the hub knows this user by.
     *
     * @throws HubException if that of the environment cannot be used
     */
    Optional<String> token() {
        return token.get();
    }

    /** Whether the network may not be used. */
    public boolean offline() {
        return offline;
    }

    /** Ranges of a file that are downloaded at once. */
    public int connections() {
        return connections;
    }

    /** How long a connection may bring next to nothing. */
    public Duration patience() {
        return patience;
    }

    /** Who is told how far a download is. */
    Consumer<? super DownloadProgress> progress() {
        return progress;
    }

    /**
     * The proxies that the environment names, if it names any.
     *
     * @throws HubException if one cannot be used
     */
    Optional<EnvironmentProxies> proxies() {
        return environment.proxies();
    }

    /** Before the first retry. */
    Duration firstWait() {
        return firstWait;
    }

    /** Bytes of a range that is asked for at once. */
    int partBytes() {
        return partBytes;
    }

    /** Sets options by name. */
    public static final class Builder {
        private URI endpoint;
        private Path cacheDirectory;
        private Supplier<Optional<String>> token;
        private boolean offline;
        private int connections = CONNECTIONS;
        private Duration patience = PATIENCE;
        private Consumer<? super DownloadProgress> progress = step -> {};
        private final HubEnvironment environment;
        private Duration firstWait = FIRST_WAIT;
        private int partBytes = PART_BYTES;

        private Builder(HubEnvironment environment) {
            endpoint = environment.endpoint();
            cacheDirectory = environment.cacheDirectory();
            token = environment::token;
            offline = environment.offline();
            this.environment = environment;
        }

        /**
         * Takes models from another place that speaks the hub's protocol. By default from what {@code HF_ENDPOINT}
         * names, or huggingface.co.
         *
         * @throws HubException if it is no http or https address
         */
        public Builder endpoint(URI value) {
            endpoint = HubEnvironment.endpoint(value.toString(), "The endpoint");
            return this;
        }

        /**
         * Keeps models below this folder. By default that is what {@code HF_HUB_CACHE} names, or {@code hub} in {@code
         * HF_HOME}, or {@code huggingface/hub} in {@code XDG_CACHE_HOME}, or {@code .cache/huggingface/hub} in the home
         * folder.
         */
        public Builder cacheDirectory(Path value) {
            cacheDirectory = Objects.requireNonNull(value, "cacheDirectory");
            return this;
        }

        /**
         * Shows the hub this access token, for repositories that are private or have terms to be accepted. By default
         * that of {@code HF_TOKEN}, or of the file that {@code HF_TOKEN_PATH} names, or of {@code token} in {@code
         * HF_HOME}. It is sent to the endpoint and to no other host.
         *
         * @throws HubException if it has a character that no token has
         */
        public Builder token(String value) {
            Optional<String> stated = Optional.of(HubEnvironment.token(value, "The token"));
            token = () -> stated;
            return this;
        }

        /** Shows the hub no token, whatever the environment says. */
        public Builder withoutToken() {
            token = Optional::empty;
            return this;
        }

        /** Whether only what is in the cache may be used. By default what {@code HF_HUB_OFFLINE} says. */
        public Builder offline(boolean value) {
            offline = value;
            return this;
        }

        /**
         * Sets how many ranges of a file are downloaded at once, 8 by default.
         *
         * @param value from 1 to 64
         */
        public Builder connections(int value) {
            connections = value;
            return this;
        }

        /**
         * Sets how long a connection may bring next to nothing (less than 8 KiB) before it is given up and another is
         * tried, 30 seconds by default. After five such tries in a row the download ends.
         */
        public Builder patience(Duration value) {
            patience = Objects.requireNonNull(value, "patience");
            return this;
        }

        /**
         * Tells someone how far a download is: on the thread that asked for it, a few times a second, and at the end of
         * each file. What it throws ends the download, which a later one takes up.
         */
        public Builder progress(Consumer<? super DownloadProgress> value) {
            progress = Objects.requireNonNull(value, "progress");
            return this;
        }

        /** Sets the wait before the first retry. */
        Builder firstWait(Duration value) {
            firstWait = value;
            return this;
        }

        /** Sets the bytes of a range that is asked for at once. */
        Builder partBytes(int value) {
            partBytes = value;
            return this;
        }

        /**
         * The options.
         *
         * @throws IllegalArgumentException if a number or time is out of its range
         */
        public HubOptions build() {
            if (connections < 1 || connections > MAX_CONNECTIONS) {
                throw new IllegalArgumentException(
                        "connections = " + connections + " must be from 1 to " + MAX_CONNECTIONS + ".");
            }
            if (patience.isNegative() || patience.isZero()) {
                throw new IllegalArgumentException("patience must be a time above 0, not " + patience + ".");
            }
            return new HubOptions(this);
        }
    }
}
