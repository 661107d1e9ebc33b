package org.dolly4j.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.LoadPlan;
import org.dolly4j.hub.Hub;
import org.dolly4j.hub.HubRepository;
import org.dolly4j.runtime.ModelOptions.KvCacheType;
import org.dolly4j.runtime.ModelOptions.WeightType;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Which model, and how it is held. */
final class ModelArguments {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "PATH|ID",
            description = "Folder of the model: config.json, weights and tokenizer.json; or its id on the Hugging Face"
                    + " hub, such as databricks/dolly-v2-3b, from where it is downloaded once. Without it, the small"
                    + " demo model is used.")
    Optional<String> model = Optional.empty();

    @ArgGroup(validate = false, exclusive = false)
    HubArguments hub = new HubArguments();

    @Option(
            names = "--tokenizer",
            paramLabel = "PATH",
            description = "Folder of the tokenizer, if it is not the model's.")
    Optional<Path> tokenizer = Optional.empty();

    @ArgGroup(validate = false, exclusive = false)
    BackendArguments backend = new BackendArguments();

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            converter = NameConverter.WeightTypes.class,
            completionCandidates = NameConverter.WeightTypes.class,
            description = "Element type of weights: ${COMPLETION-CANDIDATES}. float32 is exact; the default is float32"
                    + " if the weights are stored so, else bfloat16. int8 and int4 need less memory and are faster.")
    Optional<WeightType> dtype = Optional.empty();

    @Option(
            names = "--allow-dtype",
            paramLabel = "TYPE",
            split = ",",
            converter = NameConverter.WeightTypes.class,
            completionCandidates = NameConverter.WeightTypes.class,
            description = "Types that may be chosen where memory is too short for --dtype: the next smaller one that"
                    + " fits.")
    List<WeightType> allowedDtypes = new ArrayList<>();

    @Option(
            names = "--no-memory-check",
            description = "Load the model without an estimate of all its memory. Weights and KV cache that are larger"
                    + " than the memory available are refused even so.")
    boolean noMemoryCheck;

    @Option(
            names = {"-t", "--threads"},
            paramLabel = "N",
            description = "CPU threads; by default what -Ddolly4j.threads says, or the number of physical cores.")
    int threads;

    @Option(
            names = "--kv-cache-tokens",
            paramLabel = "N",
            description = "Tokens that the KV cache holds, of all answers that run at once.")
    Optional<Integer> kvCacheTokens = Optional.empty();

    @Option(
            names = "--kv-cache-dtype",
            paramLabel = "TYPE",
            converter = NameConverter.KvCacheTypes.class,
            completionCandidates = NameConverter.KvCacheTypes.class,
            description =
                    "Element type of the KV cache: ${COMPLETION-CANDIDATES}. The default is float32 if the weights"
                            + " are, else bfloat16, which takes half the memory.")
    Optional<KvCacheType> kvCacheDtype = Optional.empty();

    @ArgGroup(validate = false, exclusive = false)
    CacheArguments cache = new CacheArguments();

    /**
     * Loads the model, and says so on standard error if it is the demo model.
     *
     * @throws IllegalArgumentException if a value is out of its range
     * @throws org.dolly4j.DollyException if the model cannot be loaded
     */
    OpenModel load(Console console) {
        if (model.isPresent()) {
            try (DownloadPrinter printer = new DownloadPrinter(console)) {
                return new OpenModel(Dolly.load(model.get(), optionsWith(printer)));
            }
        }
        hub.requireNoRevision();
        Dolly demo = Dolly.demo(options().build());
        console.err()
                .println(String.format(
                        Locale.ROOT,
                        "dolly: this is the demo model with %.1f million weights, good for trying the program only. For"
                                + " a real one give --model databricks/dolly-v2-3b (which downloads 6 GB), or --model"
                                + " PATH",
                        demo.info().parameters() / 1e6));
        return new OpenModel(demo);
    }

    /**
     * What memory the model would take. Nothing is loaded, and of a model of the hub no more is downloaded than its
     * configuration, its tokenizer and the headers of its weights.
     *
     * @throws IllegalArgumentException if a value is out of its range
     * @throws org.dolly4j.DollyException if its headers cannot be read
     */
    LoadPlan plan(Console console) {
        if (model.isEmpty()) {
            hub.requireNoRevision();
            return LoadPlan.ofDemo(options().build());
        }
        try (DownloadPrinter printer = new DownloadPrinter(console)) {
            return LoadPlan.of(model.get(), optionsWith(printer));
        }
    }

    /** The id of a model of the hub that would have to be downloaded to be loaded. */
    Optional<String> absent(Console console) {
        try (DownloadPrinter printer = new DownloadPrinter(console)) {
            Hub cache = new Hub(hub.options(printer));
            return model.filter(Hub::isModel).filter(id -> !cache.bring(id, hub.revision, Hub::has));
        }
    }

    /** The options, with progress shown if the model may have to be downloaded. */
    private DollyOptions optionsWith(DownloadPrinter printer) {
        DollyOptions.Builder options = options();
        if (model.filter(HubRepository::isId).isPresent()) {
            options.hub(hub.options(printer));
        }
        return options.build();
    }

    private DollyOptions.Builder options() {
        DollyOptions.Builder builder = backend.options().threads(threads);
        hub.revision.ifPresent(builder::revision);
        tokenizer.ifPresent(builder::tokenizer);
        dtype.ifPresent(builder::dtype);
        builder.allowedDtypes(allowedDtypes.toArray(WeightType[]::new));
        if (noMemoryCheck) {
            builder.memoryCheck(false);
        }
        kvCacheTokens.ifPresent(builder::kvCacheTokens);
        kvCacheDtype.ifPresent(builder::kvCacheDtype);
        cache.set(builder);
        return builder;
    }
}
