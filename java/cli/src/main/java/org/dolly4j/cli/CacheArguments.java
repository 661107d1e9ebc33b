package org.dolly4j.cli;

import java.util.Optional;
import org.dolly4j.DollyOptions;
import org.dolly4j.WeightCaching;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Whether packed weights are kept on disk, and where. */
final class CacheArguments {
    @Option(
            names = "--weight-cache",
            paramLabel = "WHEN",
            converter = NameConverter.WeightCachings.class,
            completionCandidates = NameConverter.WeightCachings.class,
            description = "Keep packed weights on disk, for a faster next start: ${COMPLETION-CANDIDATES}. The default,"
                    + " auto, keeps int8 and int4 weights.")
    WeightCaching weightCache = WeightCaching.AUTO;

    @ArgGroup(validate = false, exclusive = false)
    CacheFolderArguments folder = new CacheFolderArguments();

    @Option(
            names = "--cache-size",
            paramLabel = "SIZE",
            converter = ByteSize.class,
            description = "Most that they may take on disk, such as 20GB; by default 32GiB. Those used longest ago are"
                    + " deleted first.")
    Optional<Long> size = Optional.empty();

    /** Sets these in a builder. */
    void set(DollyOptions.Builder builder) {
        builder.weightCache(weightCache);
        folder.folder.ifPresent(builder::cacheDirectory);
        size.ifPresent(builder::cacheSize);
    }
}
