package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dolly4j.check.DollyTokenizers;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckCommandTest {
    private static final String DECODE = "tokenizer/decode.jsonl";

    @TempDir
    private static Path tokenizers;

    @TempDir
    private Path folder;

    @BeforeAll
    static void writeTokenizers() {
        DollyTokenizers.write(Goldens.TOKENIZERS, tokenizers);
    }

    private static Run check(Path goldens, String... more) {
        List<String> args =
                new ArrayList<>(List.of("check", goldens.toString(), "--tokenizers", tokenizers.toString()));
        args.addAll(List.of(more));
        return Run.of(args.toArray(String[]::new));
    }

    private static String last(Run run) {
        return run.lines().get(run.lines().size() - 1);
    }

    @Test
    void shippedGoldens_allPassWithoutAnyArgument() {
        String previous = System.setProperty(CheckCommand.GOLDENS_PROPERTY, Goldens.FOLDER.toString());
        Run run;
        try {
            run = Run.of("check");
        } finally {
            restore(previous);
        }

        assertThat(last(run)).matches("[1-9][0-9]{3,} passed, 0 failed, 0 skipped");
        assertThat(run.out()).doesNotContain("no folder");
        assertThat(run.exitCode()).isZero();
        assertThat(run.lines())
                .containsAll(GoldenPart.subfolders(Goldens.FOLDER))
                .contains("tokenizer", "sampling", "models");
        assertThat(run.out()).contains("  tokenizer/decode: ", "float32 logits differ by at most");
    }

    private static void restore(String goldens) {
        if (goldens == null) {
            System.clearProperty(CheckCommand.GOLDENS_PROPERTY);
        } else {
            System.setProperty(CheckCommand.GOLDENS_PROPERTY, goldens);
        }
    }

    @Test
    void onePart_isCheckedAlone() {
        Run run = check(Goldens.FOLDER.resolve("sampling"));

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines()).contains("sampling").doesNotContain("tokenizer", "models");
    }

    @Test
    void wrongGolden_failsAndIsShown() throws IOException {
        List<String> lines = Files.readAllLines(Goldens.FOLDER.resolve(DECODE));
        write(DECODE, lines.get(0) + "\n" + lines.get(1).replaceFirst("\"text\": *\"", "$0wrong ") + "\n");

        Run run = check(folder);

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(last(run)).matches("1 passed, 1 failed, [0-9]+ skipped");
        assertThat(run.out())
                .contains("  tokenizer/decode: 1 passed, 1 failed")
                .contains("failed line 2: expected 'wrong ");
    }

    @Test
    void manyFailures_areShownInFullWithVerboseOnly() throws IOException {
        String wrong =
                Files.readAllLines(Goldens.FOLDER.resolve(DECODE)).get(0).replaceFirst("\"text\": *\"", "$0wrong ");
        write(DECODE, (wrong + "\n").repeat(20));

        Run few = check(folder);
        Run all = check(folder, "--verbose");

        assertThat(few.out()).contains("failed line 3:", "... and 17 more").doesNotContain("line 4:");
        assertThat(all.out()).contains("failed line 20:").doesNotContain("more;");
    }

    @Test
    void partThatCannotBeRead_failsAndTheOthersAreChecked() throws IOException {
        write("models/models.jsonl", "{\"checkpoint\": \n");
        write(DECODE, Files.readAllLines(Goldens.FOLDER.resolve(DECODE)).get(0) + "\n");

        Run run = check(folder);

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(last(run)).matches("1 passed, 1 failed, [0-9]+ skipped");
        assertThat(run.out()).contains("models: 1 failed", "models.jsonl: line 1 is not a JSON object");
    }

    @Test
    void unknownParts_areSkippedByName() throws IOException {
        write("hostile/manifest.jsonl", "");
        write("speech/speech.jsonl", "{}");

        Run run = check(folder);

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("Nothing was checked");
        assertThat(last(run)).isEqualTo("0 passed, 0 failed, 1 skipped");
        assertThat(run.out()).contains("skipped speech: this version does not know");
    }

    @Test
    void tokenizers_areLookedForBesideTheGoldens() throws IOException {
        Path goldens = Files.createDirectories(tokenizers.resolve("goldens/tokenizer"));
        Files.copy(Goldens.FOLDER.resolve(DECODE), goldens.resolve("decode.jsonl"));

        Run whole = Run.of("check", goldens.getParent().toString());
        Run part = Run.of("check", goldens.toString());

        assertThat(whole.lines()).anyMatch(line -> line.matches("  tokenizer/decode: [0-9]+ passed"));
        assertThat(part.lines()).anyMatch(line -> line.matches("  tokenizer/decode: [0-9]+ passed"));
    }

    @Test
    void nothingToCheck_isWrongUse() {
        Run empty = check(folder);
        Run missing = check(folder.resolve("nowhere"));
        Run unnamed = Run.of("check");

        assertThat(empty.exitCode()).isEqualTo(2);
        assertThat(empty.err()).contains("holds nothing to check", "tokenizer, sampling, models");
        assertThat(missing.exitCode()).isEqualTo(2);
        assertThat(missing.err()).contains("There is no folder");
        assertThat(unnamed.exitCode()).isEqualTo(2);
        assertThat(unnamed.err()).contains("Give a folder of goldens");
    }

    @Test
    void fileWithoutCases_isWrongUse() throws IOException {
        write("sampling/sampling.jsonl", "");

        Run run = check(folder);

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("Nothing was checked");
    }

    private void write(String file, String text) throws IOException {
        Path path = folder.resolve(file);
        Files.createDirectories(path.getParent());
        Files.writeString(path, text);
    }
}
