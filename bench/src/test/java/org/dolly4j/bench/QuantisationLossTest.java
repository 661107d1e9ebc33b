package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuantisationLossTest {
    private static final Path MODEL = Path.of("../java/demo-model/src/main/resources/org/dolly4j/demo");
    private static final Path EVALUATION = Path.of("../java/core/src/test/resources/demo/dolly-demo-eval.jsonl");

    @TempDir
    private Path folder;

    /** The table of two questions, whose answers have 23 tokens, as rows of trimmed cells without its head. */
    private List<List<String>> table(String... more) throws IOException {
        List<String> lines = Files.readAllLines(EVALUATION).subList(0, 2);
        Path evaluation = Files.write(folder.resolve("evaluation.jsonl"), lines);
        List<String> args =
                new ArrayList<>(List.of("--model", MODEL.toString(), "--evaluation", evaluation.toString()));
        args.addAll(List.of(more));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        QuantisationLoss.run(args.toArray(String[]::new), new PrintStream(out, true, StandardCharsets.UTF_8));
        return out.toString(StandardCharsets.UTF_8)
                .lines()
                .skip(2)
                .map(line -> List.of(line.substring(2, line.length() - 2).split(" \\| ")))
                .toList();
    }

    private static double mean(List<String> row) {
        return Double.parseDouble(row.get(2));
    }

    @Test
    void typesOfFewerBits_areSmallerAndLoseMore() throws IOException {
        List<List<String>> table = table();

        assertThat(table).extracting(row -> row.get(0)).containsExactly("float32", "bfloat16", "int8", "int4");
        assertThat(table.get(0)).containsExactly("float32", "27.3", "0.0", "0.0", "23 of 23", "2 of 2");
        assertThat(table).extracting(row -> -Double.parseDouble(row.get(1))).isSorted();
        assertThat(mean(table.get(2))).isPositive().isLessThan(mean(table.get(3)));
    }

    @Test
    void outliersOfNorms_areEvenedOut() throws IOException {
        List<List<String>> plain = table();
        List<List<String>> outliers = table("--outliers", "50", "--channels", "4");

        assertThat(mean(outliers.get(0))).isLessThan(1e-8);
        assertThat(outliers.get(0)).endsWith("23 of 23", "2 of 2");
        for (int integers = 2; integers < 4; integers++) {
            assertThat(mean(outliers.get(integers))).isLessThan(2 * mean(plain.get(integers)));
        }
    }

    @Test
    void evaluationOfAnotherModel_isRefused() throws IOException {
        Path other = Files.writeString(
                folder.resolve("other.jsonl"), "{\"instruction\": \"What is ice?\", \"greedy_ids\": [1, 2, 3]}");
        PrintStream nowhere = new PrintStream(PrintStream.nullOutputStream(), false, StandardCharsets.UTF_8);

        assertThatThrownBy(() -> QuantisationLoss.run(
                        new String[] {"--model", MODEL.toString(), "--evaluation", other.toString()}, nowhere))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("What is ice?");
    }
}
