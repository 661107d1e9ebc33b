package org.dolly4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.dolly4j.runtime.CachedWeights;
import org.dolly4j.runtime.WeightCache;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code dolly cache}: lists the packed weights on disk. */
@Command(
        name = "cache",
        descriptionHeading = "%n",
        description = {
            "Lists the packed weights that are kept on disk for a faster next start.",
            "They can be deleted at any time, also by other means: a model that uses them goes on, and a later start"
                    + " makes them again.",
        },
        sortOptions = false,
        optionListHeading = "%n",
        commandListHeading = "%nCommands:%n",
        versionProvider = Version.class)
final class CacheCommand implements Callable<Integer> {
    /** Digits of an id that are shown. */
    static final int ID_LENGTH = 12;

    private static final String UNKNOWN = "unknown";
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm", Locale.ROOT).withZone(ZoneId.systemDefault());

    private final Console console;

    @Option(names = "--json", description = "Print a JSON object; sizes are in bytes.")
    boolean json;

    @Mixin
    CacheFolderArguments folder = new CacheFolderArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    CacheCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        WeightCache cache = folder.cache();
        List<CachedWeights> files = cache.list();
        if (json) {
            console.out().println(JsonAnswers.GSON.toJson(object(cache, files)));
        } else if (files.isEmpty()) {
            console.out().println("There are no packed weights in " + cache.folder() + ".");
        } else {
            long bytes = files.stream().mapToLong(CachedWeights::bytes).sum();
            console.out().println(cache.folder() + ": " + ByteSize.text(bytes));
            table(files).forEach(console.out()::println);
        }
        return 0;
    }

    private static List<String> table(List<CachedWeights> files) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("ID", "SIZE", "DTYPE", "LAST USED", "MODEL"));
        for (CachedWeights file : files) {
            rows.add(List.of(
                    file.id().substring(0, ID_LENGTH),
                    ByteSize.text(file.bytes()),
                    dtype(file),
                    TIME.format(file.lastUsed()),
                    model(file)));
        }
        List<String> lines = new ArrayList<>();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int column = 0; column < row.size() - 1; column++) {
                int at = column;
                int width = rows.stream()
                        .mapToInt(one -> one.get(at).length())
                        .max()
                        .orElse(0);
                String cell = row.get(column);
                line.append(cell).append(" ".repeat(width - cell.length() + 2));
            }
            lines.add(line.append(row.get(row.size() - 1)).toString());
        }
        return lines;
    }

    private static JsonObject object(WeightCache cache, List<CachedWeights> files) {
        JsonArray array = new JsonArray();
        for (CachedWeights file : files) {
            JsonObject object = new JsonObject();
            object.addProperty("id", file.id());
            object.addProperty("file", file.file().toString());
            object.addProperty("model", model(file));
            object.addProperty("dtype", dtype(file));
            object.addProperty("bytes", file.bytes());
            object.addProperty("last_used", file.lastUsed().toString());
            array.add(object);
        }
        JsonObject object = new JsonObject();
        object.addProperty("folder", cache.folder().toString());
        object.add("files", array);
        return object;
    }

    private static String model(CachedWeights file) {
        return file.origin().map(CachedWeights.Origin::model).orElse(UNKNOWN);
    }

    private static String dtype(CachedWeights file) {
        return file.origin().map(CachedWeights.Origin::dtype).orElse(UNKNOWN);
    }
}
