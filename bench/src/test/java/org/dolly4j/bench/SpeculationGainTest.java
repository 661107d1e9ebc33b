package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpeculationGainTest {
    private static final Path MODEL = Path.of("../java/demo-model/src/main/resources/org/dolly4j/demo");

    /** Quotes its prompt. */
    private static final String QUOTING =
            "{\"prompt\": \"### Instruction:\\nWhat does the fox do?\\n\\n### Input:\\nThe quick"
                    + " brown fox jumps over the lazy dog and runs away.\\n\\n### Response:\", \"answer\": \"The quick brown fox"
                    + " jumps over the lazy dog and runs away.\"}";

    private static final String WITHOUT_CONTEXT =
            "{\"prompt\": \"### Instruction:\\nHello?\\n\\n### Response:\", \"answer\": \"Hello.\"}";

    @TempDir
    private Path folder;

    private List<String> row(String... more) throws Exception {
        Path prompts = Files.write(folder.resolve("prompts.jsonl"), List.of(QUOTING, WITHOUT_CONTEXT, QUOTING));
        List<String> args = new ArrayList<>(List.of("--prompts", prompts.toString(), "--tokenizer", MODEL.toString()));
        args.addAll(List.of(more));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        SpeculationGain.run(args.toArray(String[]::new), new PrintStream(out, true, StandardCharsets.UTF_8));
        String line =
                out.toString(StandardCharsets.UTF_8).lines().skip(2).findFirst().orElseThrow();
        return List.of(line.substring(2, line.length() - 2).split(" \\| "));
    }

    @Test
    void rowsThatCostNothingMore_letQuotingAnswersComeSooner() throws Exception {
        List<String> row = row("--costs", "1:1,64:1");
        assertThat(row.get(0)).isEqualTo("2");
        int tokens = Integer.parseInt(row.get(1));
        int steps = Integer.parseInt(row.get(2));
        assertThat(steps).isLessThan(tokens);
        assertThat(tokens - steps).isEqualTo(Integer.parseInt(row.get(5)));
        assertThat(Double.parseDouble(row.get(6))).isCloseTo((double) tokens / steps, within(0.01));
    }

    @Test
    void stepsOfAModel_areRun() throws Exception {
        assertThat(row("--model", MODEL.toString(), "--dtype", "int8", "--rows", "1")
                        .get(0))
                .isEqualTo("1");
    }

    @Test
    void costs_areLinearBetweenThoseGiven_andBeyond() {
        IntToDoubleFunction costs = SpeculationGain.costs("1:1,3:1.5,8:2");
        assertThat(values(costs, 1, 2, 3, 8, 13)).containsExactly(1, 1.25, 1.5, 2, 2.5);
    }

    private static double[] values(IntToDoubleFunction costs, int... rows) {
        return Arrays.stream(rows).mapToDouble(costs).toArray();
    }

    @Test
    void wrongCosts_areRefused() {
        assertThatThrownBy(() -> SpeculationGain.costs("1")).hasMessageContaining("--costs must be ROWS:COST");
        assertThatThrownBy(() -> SpeculationGain.costs("2:1,4:2")).hasMessageContaining("cost of 1 row");
    }
}
