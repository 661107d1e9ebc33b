package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.WeightFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertCommandTest {
    private static final String SOURCE = Goldens.FOLDER
            .resolve("models/checkpoints/neox-sequential-fp16-legacy-buffers")
            .toString();

    @TempDir
    Path folder;

    private String target() {
        return folder.resolve("new").toString();
    }

    @Test
    void oldFile_becomesSafetensors_andWhatIsLeftOutIsNamed() {
        Run run = Run.of("convert", SOURCE, target());

        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).isEqualTo(target() + ": 28 tensors, 0.5 MiB in model.safetensors\n");
        assertThat(run.err())
                .startsWith("dolly: left out, as Hugging Face does without: gpt_neox.layers.0.attention.bias, ")
                .contains(" and 1 more");
        assertThat(Checkpoint.open(folder.resolve("new")).weightDType()).isEqualTo(DType.FLOAT16);
    }

    @Test
    void typeAndSizeOfFiles_areThoseOfTheOptions() {
        Run run = Run.of("convert", SOURCE, target(), "--dtype", "bfloat16", "--max-shard-size", "200KB");

        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).matches(".* MiB in [34] files\n");
        Checkpoint made = Checkpoint.open(folder.resolve("new"));
        assertThat(made.weightDType()).isEqualTo(DType.BFLOAT16);
        assertThat(made.format()).isEqualTo(WeightFormat.SAFETENSORS_SHARDED);
        assertThat(made.config().string("torch_dtype")).hasValue("bfloat16");
    }

    @Test
    void tokenizerThatIsALinkElsewhere_isMissedAloud() throws Exception {
        Path source = Files.createDirectory(folder.resolve("source"));
        try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(SOURCE))) {
            for (Path file : files) {
                Files.copy(file, source.resolve(file.getFileName()));
            }
        }
        Files.writeString(source.resolve("generation_config.json"), "{}");
        Path elsewhere = Files.writeString(folder.resolve("elsewhere.json"), "{}");
        Files.deleteIfExists(source.resolve("tokenizer.json"));
        Files.createSymbolicLink(source.resolve("tokenizer.json"), elsewhere);

        Run run = Run.of("convert", source.toString(), target());

        assertThat(run.exitCode()).isZero();
        assertThat(run.err())
                .contains("dolly: WARNING: the new folder lacks its tokenizer: tokenizer.json was not copied")
                .contains("Copy it to " + target())
                .doesNotContain("lacks its settings of generation");
        assertThat(folder.resolve("new/tokenizer.json")).doesNotExist();
        assertThat(folder.resolve("new/generation_config.json")).exists();
    }

    @Test
    void failures_areOneSentence() throws Exception {
        Files.writeString(Files.createDirectory(folder.resolve("new")).resolve("mine"), "x");
        Run full = Run.of("convert", SOURCE, target());
        assertThat(full.exitCode()).isEqualTo(1);
        assertThat(full.err()).startsWith("dolly: ").contains("not empty. Name a new folder.");

        assertThat(Run.of("convert", folder + "/nothing", target()).exitCode()).isEqualTo(1);
        assertThat(Run.of("convert", SOURCE).exitCode()).isEqualTo(2);
        Run type = Run.of("convert", SOURCE, target(), "--dtype", "int8");
        assertThat(type.exitCode()).isEqualTo(2);
        assertThat(type.err()).contains("expected keep or float32 or bfloat16 or float16, found 'int8'");
        Run size = Run.of("convert", SOURCE, target(), "--max-shard-size", "0");
        assertThat(size.exitCode()).isEqualTo(2);
        assertThat(size.err()).contains("--max-shard-size must be 1 or more");
    }
}
