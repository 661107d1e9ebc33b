package org.dolly4j.cli;

import com.google.gson.JsonObject;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.dolly4j.LoadPlan;
import org.dolly4j.ModelInfo;
import org.dolly4j.runtime.BuildInfo;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code dolly info}: shows what memory a model would take, then loads it and shows what it is and what runs it, unless
 * it would have to be downloaded first.
 */
@Command(
        name = "info",
        descriptionHeading = "%n",
        description =
                "Shows how much memory a model would take in each type, then loads it and shows what it is, how it"
                        + " is held and what runs it. A model of the hub that is not on this machine is not downloaded"
                        + " for that; its memory is shown alone.",
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class)
final class InfoCommand implements Callable<Integer> {
    private static final int LABEL_WIDTH = 16;

    private final Console console;

    @Spec
    CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "MODEL", description = "The model, as with --model.")
    Optional<String> named = Optional.empty();

    @Option(names = "--plan", description = "Show the memory only, and load nothing.")
    boolean planOnly;

    @Option(names = "--json", description = "Print a JSON object; sizes are in bytes.")
    boolean json;

    @ArgGroup(validate = false, heading = "%nModel:%n")
    ModelArguments model = new ModelArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    InfoCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        if (named.isPresent() && model.model.isPresent()) {
            throw new ParameterException(spec.commandLine(), "Give MODEL or --model, not both.");
        }
        model.model = named.or(() -> model.model);
        Optional<String> absent = model.absent(console);
        LoadPlan plan = model.plan(console);
        JsonObject object = new JsonObject();
        MemoryTable.addTo(object, plan);
        if (!json) {
            print("memory", MemoryTable.available(plan));
            MemoryTable.lines(plan).forEach(console.out()::println);
        }
        if (!planOnly && absent.isEmpty()) {
            showLoaded(object);
        }
        if (json) {
            console.out().println(JsonAnswers.GSON.toJson(object));
        }
        absent.ifPresent(id ->
                console.err().println("dolly: " + id + " is not on this machine; dolly download " + id + " brings it"));
        return 0;
    }

    private void print(String label, String text) {
        console.out().println(label + " ".repeat(LABEL_WIDTH - label.length()) + text);
    }

    private void showLoaded(JsonObject object) {
        long start = System.nanoTime();
        try (OpenModel open = model.load(console)) {
            ModelInfo info = open.dolly().info();
            double seconds = (System.nanoTime() - start) / 1e9;
            if (json) {
                add(object, info, BuildInfo.current(), seconds);
            } else {
                lines(info, BuildInfo.current(), seconds).forEach(this::print);
            }
        }
    }

    private Map<String, String> lines(ModelInfo info, BuildInfo build, double seconds) {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("model", model.model.isPresent() ? info.name() : "the demo model");
        lines.put("architecture", info.architecture());
        lines.put("parameters", number(info.parameters()));
        lines.put("layers", Integer.toString(info.layers()));
        lines.put("hidden size", number(info.hiddenSize()));
        lines.put("vocabulary", number(info.vocabSize()));
        lines.put("context", number(info.contextLength()) + " tokens");
        lines.put("dtype", NameConverter.name(info.dtype()));
        lines.put("backend", NameConverter.name(info.backend()) + " on " + info.device());
        lines.put("CPU threads", info.threads() + ", instruction set " + build.cpuIsa());
        lines.put("weights", ByteSize.text(info.weightBytes()) + cached(info));
        lines.put(
                "KV cache",
                ByteSize.text(info.kvCacheBytes()) + " for " + number(info.kvCacheTokens()) + " tokens, "
                        + NameConverter.name(info.kvCacheDtype()));
        lines.put("loaded in", String.format(Locale.ROOT, "%.2f s", seconds));
        lines.put("dolly4j", Version.current());
        lines.put("native library", build.version() + ", built by " + build.compiler());
        if (build.libtorchAttached()) {
            lines.put("libtorch", build.libtorchSource());
            lines.put("CUDA devices", Integer.toString(build.cudaDevices()));
        }
        lines.put("Java", Runtime.version() + " (" + System.getProperty("java.vm.name") + ")");
        return lines;
    }

    private static void add(JsonObject object, ModelInfo info, BuildInfo build, double seconds) {
        object.addProperty("name", info.name());
        object.addProperty("architecture", info.architecture());
        object.addProperty("parameters", info.parameters());
        object.addProperty("layers", info.layers());
        object.addProperty("hidden_size", info.hiddenSize());
        object.addProperty("vocab_size", info.vocabSize());
        object.addProperty("context_length", info.contextLength());
        object.addProperty("dtype", NameConverter.name(info.dtype()));
        object.addProperty("backend", NameConverter.name(info.backend()));
        object.addProperty("device", info.device());
        object.addProperty("threads", info.threads());
        object.addProperty("cpu_isa", build.cpuIsa());
        object.addProperty("weight_bytes", info.weightBytes());
        object.addProperty(
                "cached_weights", info.cachedWeights().map(Path::toString).orElse(""));
        object.addProperty("kv_cache_bytes", info.kvCacheBytes());
        object.addProperty("kv_cache_tokens", info.kvCacheTokens());
        object.addProperty("kv_cache_dtype", NameConverter.name(info.kvCacheDtype()));
        object.addProperty("load_seconds", seconds);
        object.addProperty("dolly4j_version", Version.current());
        object.addProperty("native_version", build.version());
        object.addProperty("compiler", build.compiler());
        object.addProperty("libtorch", build.libtorchSource());
        object.addProperty("cuda_devices", build.cudaDevices());
        object.addProperty("java_version", Runtime.version().toString());
    }

    private static String cached(ModelInfo info) {
        return info.cachedWeights().map(file -> ", mapped from " + file).orElse("");
    }

    private static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }
}
