package org.dolly4j;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.engine.Engine;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.AvailableMemory;
import org.dolly4j.runtime.CudaDevices;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.runtime.MemoryPlan;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.runtime.WeightCache;
import org.dolly4j.tokenizer.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a model folder becomes: Java's part of it, and the engine over the native part.
 *
 * @param checkpoint the folder
 * @param tokenizer its tokenizer
 * @param info what it is and how it is held
 * @param weights the native weights
 * @param engine runs requests over them
 */
record LoadedModel(Checkpoint checkpoint, Tokenizer tokenizer, ModelInfo info, DecoderModel weights, Engine engine) {
    private static final Logger LOG = LoggerFactory.getLogger(LoadedModel.class);

    /**
     * Loads a model folder.
     *
     * @param name what the model is called in {@link ModelInfo} and in names of threads
     * @throws CheckpointException if a file is missing, damaged or not supported
     * @throws BackendException if the backend or device is not available, or memory is short
     */
    static LoadedModel load(String name, Path folder, DollyOptions options) {
        if (!options.device().equals(DollyOptions.AUTO_DEVICE)) {
            return loadOnDevice(name, folder, options);
        }
        Optional<DollyOptions> cuda = options.onCuda().filter(one -> CudaDevices.count(options.threads()) > 0);
        if (cuda.isPresent()) {
            try {
                return loadOnDevice(name, folder, cuda.get());
            } catch (BackendException e) {
                LOG.warn("{} runs on the CPU, since the CUDA device cannot be used: {}", name, e.getMessage());
            }
        }
        return loadOnDevice(name, folder, options.onCpu());
    }

    private static LoadedModel loadOnDevice(String name, Path folder, DollyOptions options) {
        long begin = System.nanoTime();
        CompletableFuture<Tokenizer> tokenizer =
                loadTokenizer(options.tokenizer().orElse(folder));
        Checkpoint checkpoint = Checkpoint.open(folder);
        WeightPlan plan = Family.planFor(checkpoint);
        MemoryPlan memory = memoryPlan(name, checkpoint, plan, options);
        ModelOptions modelOptions = memory.options();
        warnOfRounding(checkpoint, options, modelOptions);
        int blocks = memory.kvCacheTokens() / DecoderSession.BLOCK_SIZE;
        Optional<WeightCache> cache = weightCache(name, plan.spec(), memory, options);
        DecoderModel weights = loadWeights(plan, modelOptions, blocks, cache, tokenizer);
        try {
            Tokenizer ready = await(tokenizer);
            ModelInfo info = info(name, checkpoint, weights, blocks);
            DecoderSession session = newSession(weights, info);
            Engine engine = newEngine(info, session, options);
            logLoaded(info, System.nanoTime() - begin);
            return new LoadedModel(checkpoint, ready, info, weights, engine);
        } catch (RuntimeException | Error e) {
            weights.close();
            throw e;
        }
    }

    /** How the model is held, by the memory that is available. */
    private static MemoryPlan memoryPlan(String name, Checkpoint checkpoint, WeightPlan weights, DollyOptions options) {
        LoadPlan plan = LoadPlan.of(weights, checkpoint.weightDType(), options, AvailableMemory.now());
        MemoryPlan chosen = plan.chosenOrThrow(options);
        if (chosen.options().dtype() != plan.preferred()) {
            LOG.info(
                    "{} is held in {}: in {} it does not fit into the {} that are available by {}",
                    name,
                    chosen.options().dtype(),
                    plan.preferred(),
                    MemoryPlan.text(chosen.available().bytes()),
                    chosen.available().source());
        }
        int kvCacheTokens = LoadPlan.preferredKvCacheTokens(options, weights.spec(), chosen.options());
        if (chosen.kvCacheTokens() < kvCacheTokens) {
            LOG.info(
                    "{} has a KV cache of {} tokens: one of {} does not fit into the {} that are available by {}",
                    name,
                    chosen.kvCacheTokens(),
                    kvCacheTokens,
                    MemoryPlan.text(chosen.available().bytes()),
                    chosen.available().source());
        }
        if (options.memoryCheck() && !chosen.fits() && !chosen.isCached()) {
            LOG.warn(
                    "{} does not fit into the {} that are available by {}, and will be slow: {}",
                    name,
                    MemoryPlan.text(chosen.available().bytes()),
                    chosen.available().source(),
                    chosen.figures());
        }
        LOG.debug("{}", chosen);
        return chosen;
    }

    private static Optional<WeightCache> weightCache(
            String name, DecoderSpec spec, MemoryPlan memory, DollyOptions options) {
        Optional<WeightCache> wanted = LoadPlan.weightCache(options, spec, memory.options());
        if (wanted.isPresent() && !memory.usesWeightCache()) {
            LOG.info(
                    "{} is not written to the cache of packed weights: memory is too short for that. It loads as slowly"
                            + " the next time.",
                    name);
        }
        return wanted.filter(cache -> memory.usesWeightCache());
    }

    private static void logLoaded(ModelInfo info, long nanos) {
        if (LOG.isInfoEnabled()) {
            LOG.info(String.format(
                    Locale.ROOT,
                    "Loaded %s in %,d ms: %,d weights in %s (%,d MB), KV cache of %,d tokens in %s (%,d MB),"
                            + " %s on %s with %d threads",
                    info.name(),
                    nanos / 1_000_000,
                    info.parameters(),
                    info.dtype(),
                    info.weightBytes() >> 20,
                    info.kvCacheTokens(),
                    info.kvCacheDtype(),
                    info.kvCacheBytes() >> 20,
                    info.backend(),
                    info.device(),
                    info.threads()));
        }
        LOG.debug("{}", info);
    }

    /** Loads them, unless the tokenizer turns out not to load: that is said before gigabytes are read. */
    private static DecoderModel loadWeights(
            WeightPlan plan,
            ModelOptions options,
            int blocks,
            Optional<WeightCache> cache,
            CompletableFuture<Tokenizer> tokenizer) {
        try {
            return DecoderModel.load(
                    plan.spec(), plan.rows(), options, blocks, cache, tokenizer::isCompletedExceptionally);
        } catch (CancellationException e) {
            await(tokenizer);
            throw e;
        }
    }

    /** Loads it beside the weights. */
    private static CompletableFuture<Tokenizer> loadTokenizer(Path folder) {
        return CompletableFuture.supplyAsync(() -> Tokenizer.load(folder), task -> {
            Thread thread = new Thread(task, "dolly4j-tokenizer");
            thread.setDaemon(true);
            thread.start();
        });
    }

    private static Tokenizer await(CompletableFuture<Tokenizer> tokenizer) {
        try {
            return tokenizer.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            if (e.getCause() instanceof Error cause) {
                throw cause;
            }
            throw e;
        }
    }

    private static DecoderSession newSession(DecoderModel weights, ModelInfo info) {
        int blocks = info.kvCacheTokens() / DecoderSession.BLOCK_SIZE;
        try {
            return weights.newSession(blocks, LoadPlan.MAX_ROWS, LoadPlan.MAX_LOGITS_ROWS);
        } catch (BackendException e) {
            throw new BackendException(
                    String.format(
                            Locale.ROOT,
                            "The KV cache of %,d tokens cannot be made: %s. Set kvCacheTokens to fewer.",
                            info.kvCacheTokens(),
                            e.getMessage()),
                    e);
        }
    }

    private static Engine newEngine(ModelInfo info, DecoderSession session, DollyOptions options) {
        try {
            return new Engine(info.name(), session, info.contextLength(), info.threads(), options.engineOptions());
        } catch (RuntimeException | Error e) {
            session.close();
            throw e;
        }
    }

    /** bfloat16 keeps three bits less of a weight than float16 does. */
    private static void warnOfRounding(Checkpoint checkpoint, DollyOptions options, ModelOptions chosen) {
        if (options.dtype().isEmpty()
                && checkpoint.weightDType() == DType.FLOAT16
                && chosen.dtype() == WeightType.BFLOAT16) {
            LOG.warn(
                    "{} holds float16 weights; they are computed in bfloat16. For the exact weights choose float32 (dtype)"
                            + "; choose bfloat16 to say that this is meant.",
                    checkpoint.folder());
        }
    }

    private static ModelInfo info(String name, Checkpoint checkpoint, DecoderModel weights, int blocks) {
        DecoderSpec spec = weights.spec();
        ModelOptions options = weights.options();
        return new ModelInfo(
                name,
                checkpoint.config().requiredString("model_type"),
                spec.parameterCount(),
                spec.contextLength(),
                spec.layers(),
                spec.hiddenSize(),
                spec.vocabSize(),
                options.dtype(),
                options.backend(),
                options.device(),
                weights.threads(),
                weights.weightBytes(),
                options.kvCacheDtype(),
                Math.multiplyExact(blocks, DecoderSession.BLOCK_SIZE),
                blocks * weights.blockBytes(),
                weights.mappedFile());
    }

    /** Ends all requests and frees the native memory; idempotent. */
    void close() {
        engine.close();
        weights.close();
    }
}
