package org.dolly4j.cli;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dolly4j.runtime.CachedWeights;
import org.dolly4j.runtime.WeightCache;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code dolly cache clear}: deletes packed weights on disk. */
@Command(
        name = "clear",
        descriptionHeading = "%n",
        description = "Deletes packed weights on disk: all, or some. A model that uses them goes on.",
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class)
final class ClearCacheCommand implements Callable<Integer> {
    private final Console console;

    @Spec
    CommandSpec spec;

    @Parameters(arity = "0..*", paramLabel = "ID", description = "What to delete, as dolly cache lists it.")
    List<String> ids = List.of();

    @Option(
            names = "--older-than",
            paramLabel = "AGE",
            converter = Age.class,
            description = "Delete what was not used for so long: a number of days (30d), hours (12h) or minutes (5m).")
    Optional<Duration> age = Optional.empty();

    @Mixin
    CacheFolderArguments folder = new CacheFolderArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    ClearCacheCommand(Console console) {
        this.console = console;
    }

    /** Reads an age. */
    static final class Age implements ITypeConverter<Duration> {
        private static final Pattern AGE = Pattern.compile("([0-9]{1,9})([dhm])");

        @Override
        public Duration convert(String value) {
            Matcher age = AGE.matcher(value.toLowerCase(Locale.ROOT));
            if (!age.matches()) {
                throw new TypeConversionException("expected an age such as 30d, 12h or 5m, found '" + value + "'");
            }
            long number = Long.parseLong(age.group(1));
            return switch (age.group(2)) {
                case "d" -> Duration.ofDays(number);
                case "h" -> Duration.ofHours(number);
                default -> Duration.ofMinutes(number);
            };
        }
    }

    @Override
    public Integer call() {
        if (!ids.isEmpty() && age.isPresent()) {
            throw wrongUse("Give ids or --older-than, not both.");
        }
        WeightCache cache = folder.cache();
        List<CachedWeights> files = cache.list();
        List<CachedWeights> chosen;
        if (ids.isEmpty()) {
            Instant latest = age.map(Instant.now()::minus).orElse(Instant.MAX);
            chosen = files.stream()
                    .filter(file -> file.lastUsed().isBefore(latest))
                    .toList();
        } else {
            chosen = ids.stream().map(id -> find(id, files)).distinct().toList();
        }
        chosen.forEach(cache::delete);
        long bytes = chosen.stream().mapToLong(CachedWeights::bytes).sum() + cache.deleteLeftovers();
        console.out()
                .println(
                        chosen.isEmpty() && bytes == 0
                                ? "There was nothing to delete in " + cache.folder() + "."
                                : "Deleted " + (chosen.size() == 1 ? "1 file" : chosen.size() + " files") + ", "
                                        + ByteSize.text(bytes) + ", of " + cache.folder() + ".");
        return 0;
    }

    private CachedWeights find(String id, List<CachedWeights> files) {
        List<CachedWeights> found = files.stream()
                .filter(file -> file.id().startsWith(id.toLowerCase(Locale.ROOT)))
                .toList();
        if (found.size() != 1) {
            throw wrongUse("'" + id + "' is the begin of " + (found.isEmpty() ? "no id" : found.size() + " ids")
                    + ": dolly cache lists them.");
        }
        return found.get(0);
    }

    private ParameterException wrongUse(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
