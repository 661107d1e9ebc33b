package org.dolly4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.dolly4j.hub.HubOptions;
import picocli.CommandLine.Option;

/** Where models of the hub are kept. */
final class HubArguments {
    @Option(
            names = "--hub-cache",
            paramLabel = "DIR",
            description = "Folder of the cache of downloaded models; by default what HF_HUB_CACHE says, or"
                    + " ~/.cache/huggingface/hub.")
    Optional<Path> cache = Optional.empty();

    /** The options, with progress shown. */
    HubOptions options(DownloadPrinter printer) {
        HubOptions.Builder options = HubOptions.builder().progress(printer::print);
        cache.ifPresent(options::cacheDirectory);
        return options.build();
    }
}
