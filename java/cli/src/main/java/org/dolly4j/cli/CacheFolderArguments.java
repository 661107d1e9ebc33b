package org.dolly4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.dolly4j.runtime.WeightCache;
import picocli.CommandLine.Option;

/** Where packed weights are kept. */
final class CacheFolderArguments {
    @Option(
            names = "--cache-dir",
            paramLabel = "DIR",
            description = "Folder of the cache; by default what -Ddolly4j.cache.dir or DOLLY4J_CACHE_DIR names, or"
                    + " dolly4j in XDG_CACHE_HOME or ~/.cache.")
    Optional<Path> folder = Optional.empty();

    /** The cache, to look into. */
    WeightCache cache() {
        return new WeightCache(folder.orElseGet(WeightCache::defaultBase), WeightCache.DEFAULT_MAX_BYTES);
    }
}
