package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigValuesTest {
    @TempDir
    private Path folder;

    private ConfigValues values(String json) throws IOException {
        return ConfigValues.read(Files.writeString(folder.resolve("config.json"), json));
    }

    @Test
    void values_areReadByType() throws IOException {
        ConfigValues values = values("{\"s\":\"x\",\"b\":true,\"i\":7,\"f\":1e-05,\"l\":[1,2],\"ll\":[[1],[2,3]],"
                + "\"t\":[\"a\"],\"o\":{\"k\":10000.0},\"n\":null}");
        assertThat(values.requiredString("s")).isEqualTo("x");
        assertThat(values.bool("b")).contains(true);
        assertThat(values.requiredInt("i", 0, 9)).isEqualTo(7);
        assertThat(values.number("f")).hasValue(1e-5);
        assertThat(values.integers("l", 0, 9)).containsExactly(1, 2);
        assertThat(values.integers("i", 0, 9)).containsExactly(7);
        assertThat(values.integerLists("ll", 0, 9)).containsExactly(List.of(1), List.of(2, 3));
        assertThat(values.strings("t")).containsExactly("a");
        assertThat(values.strings("s")).containsExactly("x");
        ConfigValues nested = values.object("o").orElseThrow();
        assertThat(nested.number("k")).hasValue(10000);
        assertThat(nested.integer("k", 0, 10000)).hasValue(10000);
    }

    @Test
    void absentAndNull_areTheSame() throws IOException {
        ConfigValues values = values("{\"n\":null}");
        for (String key : List.of("n", "absent")) {
            assertThat(values.has(key)).isFalse();
            assertThat(values.string(key)).isEmpty();
            assertThat(values.bool(key)).isEmpty();
            assertThat(values.integer(key, 0, 1)).isEmpty();
            assertThat(values.number(key)).isEmpty();
            assertThat(values.integers(key, 0, 1)).isEmpty();
            assertThat(values.integerLists(key, 0, 1)).isEmpty();
            assertThat(values.strings(key)).isEmpty();
            assertThat(values.object(key)).isEmpty();
            assertThatThrownBy(() -> values.requiredInt(key, 0, 1)).hasMessageContaining(key + " is missing");
        }
    }

    @Test
    void wrongTypesAndRanges_nameFileKeyAndValue() throws IOException {
        ConfigValues values = values("{\"a\":-1,\"o\":{\"k\":\"x\"}, \"h\":1.5, \"big\":1e400}");
        assertThatThrownBy(() -> values.requiredInt("a", 1, 1000))
                .isInstanceOf(CheckpointException.class)
                .hasMessage(folder.resolve("config.json") + ": a must be a whole number from 1 to 1,000, but is -1.");
        assertThatThrownBy(() -> values.object("o").orElseThrow().number("k"))
                .hasMessageContaining("o.k must be a finite number, but is \"x\"");
        assertThatThrownBy(() -> values.integer("h", 0, 9)).hasMessageContaining("but is 1.5");
        assertThatThrownBy(() -> values.number("big")).hasMessageContaining("finite");
        assertThatThrownBy(() -> values.string("a")).hasMessageContaining("a text");
        assertThatThrownBy(() -> values.bool("a")).hasMessageContaining("true or false");
        assertThatThrownBy(() -> values.object("a")).hasMessageContaining("an object");
        assertThatThrownBy(() -> values.integerLists("a", 0, 9)).hasMessageContaining("a list");
        assertThatThrownBy(() -> values.strings("h")).hasMessageContaining("a text");
        assertThatThrownBy(() -> values.integers("o", 0, 9)).hasMessageContaining("but is an object");
    }

    @Test
    void filesThatAreNotOneJsonObject_areRefused() {
        for (String json : List.of("", "[]", "{}{}", "{\"a\":}", "{'a':1}", "null", "[".repeat(100_000))) {
            assertThatThrownBy(() -> values(json))
                    .as(json.length() > 20 ? "deep nesting" : json)
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageStartingWith(folder.resolve("config.json") + ": ");
        }
    }

    @Test
    void hugeFile_isRefused() {
        assertThatThrownBy(() -> values(" ".repeat((4 << 20) + 1) + "{}")).hasMessageContaining("at most 4,194,304");
    }
}
