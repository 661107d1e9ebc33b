package org.dolly4j;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.ConfigValues;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.hub.HeaderFolder;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.AvailableMemory;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.runtime.MemoryPlan;
import org.dolly4j.runtime.MemoryPlan.Caching;
import org.dolly4j.runtime.MemoryPlan.SessionSize;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.runtime.WeightCache;

/**
 * What a model would take in each type of weights, and which type is chosen. Known without reading weights, and without
 * having them: config.json and the type of the file are enough.
 *
 * <p>Chosen is the preferred type ({@link DollyOptions#dtype()}, or else the one that suits the file) if it fits into
 * the memory that is available, or else the next smaller one of {@link DollyOptions#allowedDtypes()} that does. If none
 * fits, the smallest of these is chosen that can be loaded with the help of swap. Before a type is given up, so is what
 * can be done without: the weights are not written to the cache, and a KV cache of no stated size holds one context.
 *
 * @param plans one for each type that the device can hold weights in, the largest first
 * @param preferred the type that is chosen if memory allows
 * @param chosen the plan that is carried out; none if memory is too short for all that the options allow
 */
public record LoadPlan(List<MemoryPlan> plans, WeightType preferred, Optional<MemoryPlan> chosen) {
    /** Most rows of a step: enough to be bound by arithmetic. */
    static final int MAX_ROWS = 256;

    /** Most sequences that are decoded together. */
    static final int MAX_LOGITS_ROWS = 64;

    /** Contexts that the KV cache holds by default, if they fit into {@link #DEFAULT_KV_BYTES}. */
    private static final int DEFAULT_KV_CONTEXTS = 4;

    private static final long DEFAULT_KV_BYTES = 1L << 30;

    /** Fewest weights of a model that is worth a file in the cache by default. */
    private static final long CACHED_PARAMETERS = 100_000_000;

    /** Copies the list. */
    public LoadPlan {
        plans = List.copyOf(plans);
    }

    /**
     * The plan of a model folder, of which only headers are read. For the device {@code auto} it is that of the CPU.
     *
     * @throws CheckpointException if a file is missing, damaged or not supported
     */
    public static LoadPlan of(Path folder, DollyOptions options) {
        Checkpoint checkpoint = Checkpoint.open(folder);
        return of(Family.planFor(checkpoint), checkpoint.weightDType(), options, AvailableMemory.now());
    }

    /**
     * The plan of a model given as for {@link Dolly#load(String, DollyOptions)}, see {@link #of(Path, DollyOptions)}.
     * Of one of the hub whose weights are not on this machine no more than configuration, tokenizer and the headers of
     * safetensors files are downloaded. Without the latter the type of its weights is the one that config.json states.
     *
     * @throws HubException as {@link Dolly#load(String, DollyOptions)}
     * @throws CheckpointException as {@link Dolly#load(String, DollyOptions)}
     */
    public static LoadPlan of(String model, DollyOptions options) {
        Path folder = Dolly.configFolderOf(model, options);
        if (Checkpoint.hasWeights(folder)) {
            return of(folder, options);
        }
        Optional<HeaderFolder> headers = Dolly.headersOf(model, options);
        if (headers.isPresent()) {
            try (HeaderFolder open = headers.get()) {
                return of(open.path(), options);
            } catch (CheckpointException e) {
                throw new CheckpointException(
                        e.getMessage().replace(headers.get().path().toString(), model), e);
            }
        }
        ConfigValues config = ConfigValues.read(folder.resolve("config.json"));
        return of(Family.of(config).spec(config), statedType(config), options);
    }

    /** Hugging Face's default is float32. */
    private static DType statedType(ConfigValues config) {
        String stated =
                config.string("dtype").or(() -> config.string("torch_dtype")).orElse("float32");
        return switch (stated) {
            case "float16" -> DType.FLOAT16;
            case "bfloat16" -> DType.BFLOAT16;
            default -> DType.FLOAT32;
        };
    }

    /**
     * The plan of the demo model.
     *
     * @throws CheckpointException as {@link Dolly#demo(DollyOptions)}
     */
    public static LoadPlan ofDemo(DollyOptions options) {
        return of(DemoModel.folder(), options);
    }

    /** The plan of a model that need not be here: nothing of it is in the cache. */
    public static LoadPlan of(DecoderSpec spec, DType stored, DollyOptions options) {
        return of(spec, stored, options, AvailableMemory.now(), held -> writing(options, spec, held));
    }

    static LoadPlan of(WeightPlan weights, DType stored, DollyOptions options, AvailableMemory available) {
        return of(weights.spec(), stored, options, available, held -> {
            boolean found = weightCache(options, weights.spec(), held)
                    .filter(cache -> DecoderModel.isCached(weights.spec(), weights.rows(), held, cache))
                    .isPresent();
            return found ? Caching.FOUND : writing(options, weights.spec(), held);
        });
    }

    private static Caching writing(DollyOptions options, DecoderSpec spec, ModelOptions held) {
        return weightCache(options, spec, held).isPresent() ? Caching.WRITTEN : Caching.NONE;
    }

    static LoadPlan of(
            DecoderSpec spec,
            DType stored,
            DollyOptions options,
            AvailableMemory available,
            Function<ModelOptions, Caching> caching) {
        List<WeightType> candidates = candidates(options, automaticType(stored));
        List<MemoryPlan> plans = Arrays.stream(WeightType.values())
                .filter(type -> candidates.contains(type) || options.canHold(type))
                .map(options::modelOptions)
                .map(held -> planOf(spec, held, options, available, caching.apply(held)))
                .toList();
        List<MemoryPlan> allowed = plans.stream()
                .filter(plan -> candidates.contains(plan.options().dtype()))
                .toList();
        Optional<MemoryPlan> chosen = options.memoryCheck()
                ? allowed.stream().filter(MemoryPlan::fits).findFirst().or(() -> smallestLoadable(allowed))
                : allowed.stream().findFirst();
        return new LoadPlan(plans, candidates.get(0), chosen);
    }

    /** The plan of a type: with all that is useful, or else the first that fits with less, or else the least. */
    private static MemoryPlan planOf(
            DecoderSpec spec, ModelOptions held, DollyOptions options, AvailableMemory available, Caching caching) {
        List<Caching> cachings = caching == Caching.WRITTEN ? List.of(caching, Caching.NONE) : List.of(caching);
        List<MemoryPlan> plans = kvBlocks(options, spec, held).stream()
                .map(blocks -> new SessionSize(blocks, MAX_ROWS, MAX_LOGITS_ROWS))
                .flatMap(size -> cachings.stream().map(one -> MemoryPlan.of(spec, held, size, one, available)))
                .toList();
        return options.memoryCheck()
                ? plans.stream().filter(MemoryPlan::fits).findFirst().orElse(plans.get(plans.size() - 1))
                : plans.get(0);
    }

    private static Optional<MemoryPlan> smallestLoadable(List<MemoryPlan> allowed) {
        return allowed.stream().filter(MemoryPlan::canBeLoaded).min(Comparator.comparingLong(MemoryPlan::totalBytes));
    }

    /** The type that suits what a file holds. */
    static WeightType automaticType(DType stored) {
        return switch (stored) {
            case FLOAT32, FLOAT64 -> WeightType.FLOAT32;
            default -> WeightType.BFLOAT16;
        };
    }

    /** The types that may be chosen, the preferred one first and the smallest last. */
    private static List<WeightType> candidates(DollyOptions options, WeightType automatic) {
        List<WeightType> allowed = options.allowedDtypes();
        if (allowed.isEmpty()) {
            return List.of(options.dtype().orElse(automatic));
        }
        WeightType preferred = options.dtype().orElse(automatic);
        List<WeightType> held =
                allowed.stream().filter(options::canHold).sorted().toList();
        List<WeightType> smaller =
                held.stream().filter(type -> type.compareTo(preferred) >= 0).toList();
        return smaller.isEmpty() ? List.of(held.get(held.size() - 1)) : smaller;
    }

    /** Sizes of the KV cache that the options allow, the preferred one first. */
    private static List<Integer> kvBlocks(DollyOptions options, DecoderSpec spec, ModelOptions held) {
        if (options.kvCacheTokens().isPresent()) {
            return List.of(blocksFor(options.kvCacheTokens().getAsInt()));
        }
        int context = blocksFor(spec.contextLength());
        long blockBytes = DecoderSession.BLOCK_SIZE
                * spec.kvBytesPerToken(held.kvCacheDtype().bytes());
        long affordable = Math.min(DEFAULT_KV_BYTES / blockBytes, (long) DEFAULT_KV_CONTEXTS * context);
        int preferred = Math.toIntExact(Math.max(context, affordable));
        // On a CUDA device it takes nothing of the machine's memory, so that less of it would help nothing.
        boolean isOnCpu = held.device().equals(DollyOptions.CPU_DEVICE);
        return isOnCpu && preferred > context ? List.of(preferred, context) : List.of(preferred);
    }

    /** Tokens of the KV cache of a model held so if memory allows. */
    static int preferredKvCacheTokens(DollyOptions options, DecoderSpec spec, ModelOptions held) {
        return kvBlocks(options, spec, held).get(0) * DecoderSession.BLOCK_SIZE;
    }

    private static int blocksFor(int tokens) {
        return (tokens - 1) / DecoderSession.BLOCK_SIZE + 1;
    }

    /** The cache of packed weights that a model is looked for and kept in, if in any. */
    static Optional<WeightCache> weightCache(DollyOptions options, DecoderSpec spec, ModelOptions held) {
        boolean wanted =
                switch (options.weightCache()) {
                    case ON -> true;
                    case OFF -> false;
                    case AUTO -> spec.parameterCount() >= CACHED_PARAMETERS && takesLongToPack(held.dtype());
                };
        return wanted ? Optional.of(new WeightCache(options.cacheDirectory(), options.cacheSize())) : Optional.empty();
    }

    /** Quantised weights do: the others load about as fast as they are read. */
    private static boolean takesLongToPack(WeightType type) {
        return type.isQuantised();
    }

    /**
     * The plan that is carried out.
     *
     * @throws MemoryShortageException if there is none
     */
    MemoryPlan chosenOrThrow(DollyOptions options) {
        return chosen.orElseThrow(() -> new MemoryShortageException(shortage(options)));
    }

    private String shortage(DollyOptions options) {
        List<WeightType> tried = candidates(options, preferred);
        String figures = plans.stream()
                .filter(plan -> tried.contains(plan.options().dtype()))
                .map(MemoryPlan::figures)
                .collect(Collectors.joining("; "));
        List<String> advice = new ArrayList<>();
        plans.stream()
                .filter(MemoryPlan::fits)
                .findFirst()
                .ifPresent(plan ->
                        advice.add("choose or allow " + name(plan.options().dtype())
                                + " (dtype, allowedDtypes), which takes " + MemoryPlan.text(plan.totalBytes())));
        AvailableMemory available = plans.get(0).available();
        return "The model does not fit into memory: " + figures + ". Available are "
                + MemoryPlan.text(available.bytes()) + " by " + available.source()
                + (available.swapBytes() > 0 ? " and " + MemoryPlan.text(available.swapBytes()) + " of swap" : "")
                + ". To run it " + advice.stream().map(one -> one + ", ").collect(Collectors.joining())
                + "free memory, make the KV cache smaller (kvCacheTokens), or take a smaller model; if only workspace"
                + " and Java are estimated too high, turn memoryCheck off, which still refuses weights and KV cache"
                + " that do not fit.";
    }

    private static String name(WeightType type) {
        return type.name().toLowerCase(Locale.ROOT);
    }
}
