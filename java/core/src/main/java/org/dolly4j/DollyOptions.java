package org.dolly4j;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.dolly4j.engine.EngineOptions;
import org.dolly4j.hub.HubOptions;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.KvCacheType;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.runtime.WeightCache;

/** How a model is loaded and held. Immutable. */
public final class DollyOptions {
    /** Most tokens that a KV cache may hold, whatever memory there is. */
    public static final int MAX_KV_CACHE_TOKENS = 1 << 30;

    /** The device that is chosen when the model is loaded. */
    static final String AUTO_DEVICE = "auto";

    static final String CPU_DEVICE = "cpu";

    /** System property that turns the check of memory off where the options do not state it. */
    private static final String MEMORY_CHECK_PROPERTY = "dolly4j.memoryCheck";

    private static final DollyOptions DEFAULTS = builder().build();

    private final Optional<String> revision;
    private final Optional<HubOptions> hub;
    private final Optional<Path> tokenizer;
    private final Optional<WeightType> dtype;
    private final List<WeightType> allowedDtypes;
    private final Optional<Boolean> memoryCheck;
    private final Optional<Backend> backend;
    private final String device;
    private final int threads;
    private final boolean portableBits;
    private final OptionalInt kvCacheTokens;
    private final Optional<KvCacheType> kvCacheDtype;
    private final WeightCaching weightCache;
    private final Optional<Path> cacheDirectory;
    private final long cacheSize;
    private final EngineOptions engineOptions;

    private DollyOptions(Builder builder) {
        revision = builder.revision;
        hub = builder.hub;
        tokenizer = builder.tokenizer;
        dtype = builder.dtype;
        allowedDtypes = builder.allowedDtypes;
        memoryCheck = builder.memoryCheck;
        backend = builder.backend;
        device = builder.device;
        threads = builder.threads;
        portableBits = builder.portableBits;
        kvCacheTokens = builder.kvCacheTokens;
        kvCacheDtype = builder.kvCacheDtype;
        weightCache = builder.weightCache;
        cacheDirectory = builder.cacheDirectory;
        cacheSize = builder.cacheSize;
        engineOptions = new EngineOptions(
                builder.maxQueuedRequests,
                Duration.ofMillis(builder.maxStepMillis),
                builder.prefixCache,
                builder.speculation);
    }

    /** Options with nothing set. */
    public static DollyOptions defaults() {
        return DEFAULTS;
    }

    /** A builder with nothing set. */
    public static Builder builder() {
        return new Builder();
    }

    /** A builder that starts from these options. */
    public Builder toBuilder() {
        Builder builder = new Builder();
        builder.revision = revision;
        builder.hub = hub;
        builder.tokenizer = tokenizer;
        builder.dtype = dtype;
        builder.allowedDtypes = allowedDtypes;
        builder.memoryCheck = memoryCheck;
        builder.backend = backend;
        builder.device = device;
        builder.threads = threads;
        builder.portableBits = portableBits;
        builder.kvCacheTokens = kvCacheTokens;
        builder.kvCacheDtype = kvCacheDtype;
        builder.weightCache = weightCache;
        builder.cacheDirectory = cacheDirectory;
        builder.cacheSize = cacheSize;
        builder.maxQueuedRequests = engineOptions.maxQueuedRequests();
        builder.maxStepMillis = engineOptions.maxStep().toMillis();
        builder.prefixCache = engineOptions.prefixCache();
        builder.speculation = engineOptions.speculation();
        return builder;
    }

    /** Which revision of a model of the hub is loaded, if stated. */
    public Optional<String> revision() {
        return revision;
    }

    /**
     * How models of the hub are downloaded.
     *
     * @throws HubException if none were stated, and the environment has a value that cannot be used
     */
    public HubOptions hub() {
        return hub.orElseGet(HubOptions::fromEnvironment);
    }

    /** Where the tokenizer is, if not in the model folder. */
    public Optional<Path> tokenizer() {
        return tokenizer;
    }

    /** Element type of weights, if not the one that suits the checkpoint. */
    public Optional<WeightType> dtype() {
        return dtype;
    }

    /** Element types that weights may be held in if memory is short, the largest first; empty if none was named. */
    public List<WeightType> allowedDtypes() {
        return allowedDtypes;
    }

    /** Whether all that a model takes of memory is estimated, and one that does not fit refused before it is loaded. */
    public boolean memoryCheck() {
        return memoryCheck.orElseGet(() -> !"false".equals(System.getProperty(MEMORY_CHECK_PROPERTY)));
    }

    /**
     * What runs the steps: if not stated, the kernels on the CPU and libtorch on a CUDA device. For the device {@code
     * auto} it is what runs them on the CPU; {@link ModelInfo} tells what was chosen.
     */
    public Backend backend() {
        return backend.orElseGet(() -> ModelOptions.defaultBackend(knownDevice()));
    }

    /** Where they run, {@code auto} if that is chosen when the model is loaded. */
    public String device() {
        return device;
    }

    /** CPU threads, 0 for the number of physical cores. */
    public int threads() {
        return threads;
    }

    /** Whether the kernels give the same bits on every CPU. */
    public boolean portableBits() {
        return portableBits;
    }

    /** Tokens that the KV cache holds, if stated. */
    public OptionalInt kvCacheTokens() {
        return kvCacheTokens;
    }

    /** Element type of the KV cache, if not the one that suits the weights. */
    public Optional<KvCacheType> kvCacheDtype() {
        return kvCacheDtype;
    }

    /** Whether packed weights are kept on disk. */
    public WeightCaching weightCache() {
        return weightCache;
    }

    /** The folder of what is kept on disk. */
    public Path cacheDirectory() {
        return cacheDirectory.orElseGet(WeightCache::defaultBase);
    }

    /** Most bytes of packed weights on disk. */
    public long cacheSize() {
        return cacheSize;
    }

    /** Most requests that may wait for their first step. */
    public int maxQueuedRequests() {
        return engineOptions.maxQueuedRequests();
    }

    /** How long a step should take at most, in milliseconds. */
    public long maxStepMillis() {
        return engineOptions.maxStep().toMillis();
    }

    /** Whether prompts take what is cached of earlier ones that start with the same tokens. */
    public boolean prefixCache() {
        return engineOptions.prefixCache();
    }

    /** Whether steps verify drafts of the next tokens where that saves time. */
    public boolean speculation() {
        return engineOptions.speculation();
    }

    EngineOptions engineOptions() {
        return engineOptions;
    }

    /** What the native side needs of these, for weights in a type. */
    ModelOptions modelOptions(WeightType weights) {
        KvCacheType kvCache = kvCacheDtype.orElse(weights.kvCacheType());
        return new ModelOptions(weights, kvCache, backend(), knownDevice(), threads, portableBits);
    }

    /** Whether the backend can hold weights in a type. */
    boolean canHold(WeightType type) {
        return backend() == Backend.KERNELS || !type.isQuantised();
    }

    /** The device, for {@code auto} the one that every machine has. */
    private String knownDevice() {
        return device.equals(AUTO_DEVICE) ? CPU_DEVICE : device;
    }

    /** These options for the CPU. */
    DollyOptions onCpu() {
        return toBuilder().device(CPU_DEVICE).build();
    }

    /** These options for a CUDA device; none if they ask for what only the kernels can do. */
    Optional<DollyOptions> onCuda() {
        boolean needsKernels = backend.equals(Optional.of(Backend.KERNELS))
                || portableBits
                || weightCache == WeightCaching.ON
                || dtype.filter(WeightType::isQuantised).isPresent()
                || (!allowedDtypes.isEmpty() && allowedDtypes.stream().allMatch(WeightType::isQuantised));
        return needsKernels
                ? Optional.empty()
                : Optional.of(toBuilder().device("cuda").build());
    }

    /** Sets options by name. */
    public static final class Builder {
        private Optional<String> revision = Optional.empty();
        private Optional<HubOptions> hub = Optional.empty();
        private Optional<Path> tokenizer = Optional.empty();
        private Optional<WeightType> dtype = Optional.empty();
        private List<WeightType> allowedDtypes = List.of();
        private Optional<Boolean> memoryCheck = Optional.empty();
        private Optional<Backend> backend = Optional.empty();
        private String device = CPU_DEVICE;
        private int threads;
        private boolean portableBits;
        private OptionalInt kvCacheTokens = OptionalInt.empty();
        private Optional<KvCacheType> kvCacheDtype = Optional.empty();
        private WeightCaching weightCache = WeightCaching.AUTO;
        private Optional<Path> cacheDirectory = Optional.empty();
        private long cacheSize = WeightCache.DEFAULT_MAX_BYTES;
        private int maxQueuedRequests = EngineOptions.DEFAULT.maxQueuedRequests();
        private long maxStepMillis = EngineOptions.DEFAULT.maxStep().toMillis();
        private boolean prefixCache = EngineOptions.DEFAULT.prefixCache();
        private boolean speculation = EngineOptions.DEFAULT.speculation();

        private Builder() {}

        /**
         * Loads this revision of a model that is named by its id on the hub: a branch, a tag or a commit. By default
         * the branch main, as it is when it is loaded; a commit of 40 hexadecimal digits is always the same model.
         */
        public Builder revision(String value) {
            revision = Optional.of(Objects.requireNonNull(value, "revision"));
            return this;
        }

        /**
         * Says how a model that is named by its id on the hub is downloaded, where it is kept, and who is told how far
         * that is. By default what the environment says, as huggingface_hub reads it.
         */
        public Builder hub(HubOptions value) {
            hub = Optional.of(Objects.requireNonNull(value, "hub"));
            return this;
        }

        /** Takes the tokenizer from another folder, or tokenizer.json; by default from the model folder. */
        public Builder tokenizer(Path value) {
            tokenizer = Optional.of(Objects.requireNonNull(value, "tokenizer"));
            return this;
        }

        /**
         * Holds the weights in this type. By default in float32 if they are stored so, and in bfloat16 otherwise;
         * float32 is the exact mode. Int8 and int4 are made of the weights in any type while they are loaded, for the
         * backend kernels; they take a half and a third of bfloat16's memory, and are as much faster where one answer
         * is written at a time.
         */
        public Builder dtype(WeightType value) {
            dtype = Optional.of(Objects.requireNonNull(value, "dtype"));
            return this;
        }

        /**
         * Allows these types where memory is too short for the one of {@link #dtype}, or for the default one: then the
         * next smaller of them that fits is chosen, and that is logged at INFO. By default there is no choice.
         *
         * @param values none to take the choice away; among them the one of {@link #dtype}, if that is stated
         */
        public Builder allowedDtypes(WeightType... values) {
            allowedDtypes = Arrays.stream(values).distinct().sorted().toList();
            return this;
        }

        /**
         * Sets whether memory is looked at before a model is loaded, as it is by default unless the system property
         * {@code dolly4j.memoryCheck} is false: one that does not fit is refused with {@link
         * MemoryShortageException}. To be turned off where workspace and Java are estimated too high; weights and KV
         * cache that are larger than the memory and swap that the system says are available are refused nevertheless.
         */
        public Builder memoryCheck(boolean value) {
            memoryCheck = Optional.of(value);
            return this;
        }

        /** Chooses what runs the steps. By default the kernels on the CPU, and libtorch on a CUDA device. */
        public Builder backend(Backend value) {
            backend = Optional.of(Objects.requireNonNull(value, "backend"));
            return this;
        }

        /**
         * Chooses where they run: {@code cpu} (the default), {@code cuda}, {@code cuda:N}, or {@code auto}: a CUDA
         * device if there is one that the model fits on and that can do what these options ask for, and the CPU else.
         */
        public Builder device(String value) {
            device = Objects.requireNonNull(value, "device");
            return this;
        }

        /**
         * Sets the number of CPU threads. 0, the default, means what the system property {@code dolly4j.threads} says,
         * or else the number of physical cores.
         */
        public Builder threads(int value) {
            threads = value;
            return this;
        }

        /**
         * Makes the kernels add up in the order of AMX on every CPU, so that all CPUs give the same bits and so the
         * same text; by default only CPUs with AMX do, and the others use the order that is fastest there. That
         * concerns weights in bfloat16: all others have one order.
         */
        public Builder portableBits(boolean value) {
            portableBits = value;
            return this;
        }

        /**
         * Sets how many tokens, of all that run at once, the KV cache holds. By default that is four times the model's
         * context if it takes at most 1 GiB, and less otherwise, but at least one context; on the CPU just that where
         * memory is too short for more.
         *
         * @param value from 1 to {@link #MAX_KV_CACHE_TOKENS}
         */
        public Builder kvCacheTokens(int value) {
            kvCacheTokens = OptionalInt.of(value);
            return this;
        }

        /** Says whether packed weights are kept on disk; {@link WeightCaching#AUTO} by default. */
        public Builder weightCache(WeightCaching value) {
            weightCache = Objects.requireNonNull(value, "weightCache");
            return this;
        }

        /**
         * Keeps packed weights below this folder. By default that is what the system property
         * {@code dolly4j.cache.dir} names, or the environment variable {@code DOLLY4J_CACHE_DIR}, or {@code dolly4j}
         * in {@code XDG_CACHE_HOME}, or {@code .cache/dolly4j} in the home folder. Where it cannot be written, models
         * load without it.
         */
        public Builder cacheDirectory(Path value) {
            cacheDirectory = Optional.of(Objects.requireNonNull(value, "cacheDirectory"));
            return this;
        }

        /**
         * Sets the most bytes of packed weights on disk, of all models together; 32 GiB by default. The ones used
         * longest ago are deleted when those of another model are written.
         *
         * @param value 0 or more
         */
        public Builder cacheSize(long value) {
            cacheSize = value;
            return this;
        }

        /**
         * Holds keys and values in this type. By default in float32 if the weights are, and in bfloat16 otherwise,
         * which takes half the memory and, with long contexts, less time; float32 loses nothing of what is computed.
         */
        public Builder kvCacheDtype(KvCacheType value) {
            kvCacheDtype = Optional.of(Objects.requireNonNull(value, "kvCacheDtype"));
            return this;
        }

        /**
         * Sets how many requests may wait for their first step, 1,024 by default; {@link EngineOverloadedException} is
         * thrown at the next one.
         *
         * @param value at least 1
         */
        public Builder maxQueuedRequests(int value) {
            maxQueuedRequests = value;
            return this;
        }

        /**
         * Sets how long a step should take at most, 200 ms by default: longer prompts are read in pieces, between which
         * the answers being written go on, and cancelled requests end. A shorter time makes these smoother, a longer
         * one lets long prompts be read sooner. Where the answers alone take more than half of it, a step with prompts
         * takes up to twice as long as one without; and it reads at least 16 tokens, however long that takes.
         *
         * @param value milliseconds, at least 1
         */
        public Builder maxStepMillis(long value) {
            maxStepMillis = value;
            return this;
        }

        /**
         * Sets whether a prompt that starts with the same tokens as earlier ones takes what is still in the KV cache of
         * those, as it does by default. That changes no answer; it can show, by the time to the first token, that
         * someone else's prompt started so, unless requests have a {@link GenerationRequest.Builder#cacheSalt}.
         */
        public Builder prefixCache(boolean value) {
            prefixCache = value;
            return this;
        }

        /**
         * Sets whether a step also verifies drafts of an answer's next tokens, taken from where the same tokens stood
         * before in its prompt or in itself (prompt lookup), as it does by default where measured times say that it
         * saves some: answers that quote come sooner. That changes no answer.
         */
        public Builder speculation(boolean value) {
            speculation = value;
            return this;
        }

        /**
         * The options.
         *
         * @throws IllegalArgumentException if the device is not known or not one of the backend, the number of threads
         *     is negative, libtorch should have portable bits, quantised or cached weights, {@code dtype} is none of
         *     {@code allowedDtypes}, or a size, number or time is out of its range
         */
        public DollyOptions build() {
            int tokens = kvCacheTokens.orElse(1);
            if (tokens < 1 || tokens > MAX_KV_CACHE_TOKENS) {
                throw new IllegalArgumentException(String.format(
                        Locale.ROOT, "kvCacheTokens = %d must be from 1 to %,d.", tokens, MAX_KV_CACHE_TOKENS));
            }
            if (maxQueuedRequests < 1) {
                throw new IllegalArgumentException(
                        "maxQueuedRequests must be 1 or more, not " + maxQueuedRequests + ".");
            }
            if (maxStepMillis < 1) {
                throw new IllegalArgumentException("maxStepMillis must be 1 or more, not " + maxStepMillis + ".");
            }
            if (cacheSize < 0) {
                throw new IllegalArgumentException("cacheSize must be 0 bytes or more, not " + cacheSize + ".");
            }
            if (!allowedDtypes.isEmpty()
                    && dtype.filter(type -> !allowedDtypes.contains(type)).isPresent()) {
                throw new IllegalArgumentException(
                        "allowedDtypes must hold the dtype " + dtype.get() + ", not only " + allowedDtypes + ".");
            }
            DollyOptions options = new DollyOptions(this);
            options.modelOptions(dtype.orElse(WeightType.FLOAT32));
            if (!allowedDtypes.isEmpty() && allowedDtypes.stream().noneMatch(options::canHold)) {
                throw new IllegalArgumentException("allowedDtypes must hold float32 or bfloat16 for the backend"
                        + " libtorch, not only " + allowedDtypes + ".");
            }
            if (weightCache == WeightCaching.ON && options.backend() != Backend.KERNELS) {
                throw new IllegalArgumentException(
                        "weightCache is an option of the backend kernels: libtorch's weights are not packed.");
            }
            return options;
        }
    }
}
