package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CacheCommandTest {
    @TempDir
    Path folder;

    private Run cache(String... arguments) {
        List<String> all = new ArrayList<>(List.of("cache"));
        all.addAll(List.of(arguments));
        all.addAll(List.of("--cache-dir", folder.toString()));
        return Run.of(all.toArray(String[]::new));
    }

    /** Keeps the demo model's weights of a type. */
    private Run keep(String dtype) {
        return Run.of("info", "--dtype", dtype, "--weight-cache", "on", "--cache-dir", folder.toString());
    }

    private JsonArray files() {
        return JsonParser.parseString(cache("--json").out()).getAsJsonObject().getAsJsonArray("files");
    }

    @Test
    void emptyCache_saysWhereThereIsNothing() {
        assertThat(cache().out()).isEqualTo("There are no packed weights in " + folder.resolve("weights") + ".\n");
        assertThat(cache("clear").out())
                .isEqualTo("There was nothing to delete in " + folder.resolve("weights") + ".\n");
        assertThat(files()).isEmpty();
    }

    @Test
    void list_showsModelTypeAndSize() {
        assertThat(keep("bfloat16").lines())
                .anyMatch(line -> line.matches("weights +1[34].* MiB, mapped from .*packed"));
        keep("float32");

        Run run = cache();

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines()).hasSize(4);
        assertThat(run.lines().get(0)).matches(".*weights: [34][0-9]\\.[0-9] MiB");
        assertThat(run.lines().get(1)).matches("ID +SIZE +DTYPE +LAST USED +MODEL");
        assertThat(run.lines().subList(2, 4))
                .anyMatch(line ->
                        line.matches("[0-9a-f]{12}  1[34]\\.[0-9] MiB  bfloat16  20[-0-9]+ [:0-9]+  /.*demo[^ ]*"))
                .anyMatch(line ->
                        line.matches("[0-9a-f]{12}  2[67]\\.[0-9] MiB  float32   20[-0-9]+ [:0-9]+  /.*demo[^ ]*"));
    }

    @Test
    void json_holdsTheSameInBytes() throws Exception {
        keep("bfloat16");

        JsonObject file = files().get(0).getAsJsonObject();

        Path path = Path.of(file.get("file").getAsString());
        assertThat(path).exists().startsWith(folder);
        assertThat(file.get("bytes").getAsLong()).isEqualTo(Files.size(path));
        assertThat(file.get("dtype").getAsString()).isEqualTo("bfloat16");
        assertThat(file.get("model").getAsString()).contains("demo");
        assertThat(Instant.parse(file.get("last_used").getAsString()))
                .isAfter(Instant.now().minusSeconds(600));
    }

    @Test
    void damagedFile_isListedAndCleared() throws Exception {
        Path weights = Files.createDirectory(folder.resolve("weights"));
        Files.writeString(weights.resolve("ab".repeat(32) + ".packed"), "?");

        assertThat(cache().lines()).last().asString().matches("abababababab +0\\.0 MiB +unknown .* unknown");
        assertThat(cache("clear", "abab").out()).startsWith("Deleted 1 file, 0.0 MiB, of ");
        assertThat(files()).isEmpty();
    }

    @Test
    void clear_deletesAll_orOneById_orWhatIsOld() throws Exception {
        keep("bfloat16");
        keep("float32");
        JsonObject first = files().get(0).getAsJsonObject();
        Path second = Path.of(files().get(1).getAsJsonObject().get("file").getAsString());

        assertThat(cache("clear", "--older-than", "1h").out()).startsWith("There was nothing to delete");
        assertThat(cache("clear", first.get("id").getAsString().substring(0, 12))
                        .out())
                .startsWith("Deleted 1 file, ");
        assertThat(files()).hasSize(1);
        Files.setLastModifiedTime(second, FileTime.from(Instant.now().minus(Duration.ofDays(31))));
        assertThat(cache("clear", "--older-than", "32d").out()).startsWith("There was nothing to delete");
        assertThat(cache("clear", "--older-than", "30d").out()).startsWith("Deleted 1 file, ");
        assertThat(files()).isEmpty();

        keep("bfloat16");
        keep("float32");
        assertThat(cache("clear").out()).matches("Deleted 2 files, [34][0-9]\\.[0-9] MiB, of .*weights\\.\n");
        assertThat(files()).isEmpty();
    }

    @Test
    void wrongUse_isOneSentence() {
        assertThat(cache("clear", "abcd").err()).contains("'abcd' is the begin of no id");
        assertThat(cache("clear", "abcd").exitCode()).isEqualTo(2);
        assertThat(cache("clear", "abcd", "--older-than", "3d").err()).contains("not both");
        assertThat(cache("clear", "--older-than", "soon").err()).contains("30d", "'soon'");
        assertThat(Run.of("cache", "--json", "clear").err()).contains("'--json' stands before the command 'clear'");
        assertThat(Run.of("info", "--cache-size", "much").err()).contains("20GB", "'much'");
        assertThat(Run.of("info", "--weight-cache", "on", "--backend", "libtorch")
                        .err())
                .contains("--weight-cache is an option of the backend kernels");
    }

    @ParameterizedTest
    @CsvSource({"0,0", "123,123", "20GB,20000000000", "1.5 KiB,1536", "2m,2000000", "3tib,3298534883328", "7B,7"})
    void sizes_areReadInTheirUnits(String text, long bytes) {
        assertThat(new ByteSize().convert(text)).isEqualTo(bytes);
    }
}
