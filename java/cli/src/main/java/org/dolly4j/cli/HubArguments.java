package org.dolly4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import java.util.function.BiFunction;
import org.dolly4j.hub.Hub;
import org.dolly4j.hub.HubOptions;
import org.dolly4j.hub.HubRepository;
import picocli.CommandLine.Option;

/** Which models of the hub, and where they are kept. */
final class HubArguments {
    @Option(
            names = "--hub-cache",
            paramLabel = "DIR",
            description = "Folder of the cache of downloaded models; by default what HF_HUB_CACHE says, or"
                    + " ~/.cache/huggingface/hub.")
    Optional<Path> cache = Optional.empty();

    @Option(
            names = "--revision",
            paramLabel = "REVISION",
            description = "Branch, tag or commit of a model of the hub; by default main.")
    Optional<String> revision = Optional.empty();

    /**
     * The path that a text is, or the folder of the model of the hub whose id it is, where there is nothing of that
     * name; as {@link org.dolly4j.Dolly#load(String)} takes it.
     *
     * @param download brings what is needed of the model
     * @throws IllegalArgumentException if there is a revision, and the text is a path
     */
    Path path(String model, Console console, BiFunction<Hub, HubRepository, Path> download) {
        if (!Hub.isModel(model)) {
            requireNoRevision();
            return Path.of(model);
        }
        try (DownloadPrinter printer = new DownloadPrinter(console)) {
            return new Hub(options(printer)).bring(model, revision, download);
        }
    }

    /** @throws IllegalArgumentException if there is a revision: the model is none of the hub */
    void requireNoRevision() {
        if (revision.isPresent()) {
            throw new IllegalArgumentException("--revision goes with the id of a model of the hub only.");
        }
    }

    /** The options, with progress shown. */
    HubOptions options(DownloadPrinter printer) {
        HubOptions.Builder options = HubOptions.builder().progress(printer::print);
        cache.ifPresent(options::cacheDirectory);
        return options.build();
    }
}
