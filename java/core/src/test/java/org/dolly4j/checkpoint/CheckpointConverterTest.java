package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.dolly4j.DollyException;
import org.dolly4j.JavaProcess;
import org.dolly4j.model.Family;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointConverterTest {
    private static final Path GOLDENS = Path.of("src/test/resources/goldens/models/checkpoints");
    private static final String SEQUENTIAL = "neox-sequential-fp16-legacy-buffers";
    private static final CheckpointConverter.Progress SILENT = (bytes, total) -> {};

    @TempDir
    private Path folder;

    private Path target() {
        return folder.resolve("new");
    }

    private Path part() {
        return folder.resolve(".new.dolly4j-part");
    }

    private static CheckpointConverter converter(Path source, Optional<DType> dtype, long maxShardBytes) {
        Checkpoint checkpoint = Checkpoint.open(source);
        Set<String> redundant = Family.of(checkpoint.config()).roles(checkpoint).redundant();
        return new CheckpointConverter(checkpoint, redundant, dtype, maxShardBytes);
    }

    private CheckpointConverter.Result convert(String golden) {
        return converter(GOLDENS.resolve(golden), Optional.empty(), Long.MAX_VALUE)
                .convertTo(target(), SILENT);
    }

    /** A golden that may be changed. */
    private Path copy(String golden) throws IOException {
        Path copy = Files.createDirectory(folder.resolve("source"));
        try (Stream<Path> files = Files.list(GOLDENS.resolve(golden))) {
            for (Path file : files.toList()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
        }
        return copy;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "gptj-bf16-hd80-long",
                "neox-gelunew-bf16-hd64-rot50",
                "neox-sequential-fp16-legacy-buffers",
                "neox-v5config-odd"
            })
    void golden_keepsEveryWeightAndItsConfig(String golden) throws IOException {
        Checkpoint source = Checkpoint.open(GOLDENS.resolve(golden));
        convert(golden);
        Checkpoint made = Checkpoint.open(target());
        assertThat(made.format()).isEqualTo(WeightFormat.SAFETENSORS);
        assertThat(source.tensors().keySet()).containsAll(made.tensors().keySet());
        assertThat(Family.planFor(made).spec()).isEqualTo(Family.planFor(source).spec());
        for (TensorLocation tensor : made.tensors().values()) {
            TensorLocation old = source.tensors().get(tensor.name());
            assertThat(tensor.dtype()).isEqualTo(old.dtype());
            assertThat(tensor.shape()).isEqualTo(old.shape());
            assertThat(TensorBytes.dense(tensor)).as(tensor.name()).isEqualTo(TensorBytes.dense(old));
        }
        assertThat(target().resolve("config.json"))
                .hasSameBinaryContentAs(source.folder().resolve("config.json"));
        assertThat(part()).doesNotExist();
        assertThat(target()).isDirectoryNotContaining("glob:**/.*");
    }

    @Test
    void oldBuffers_areLeftOut() {
        assertThat(convert(SEQUENTIAL).tensors()).isEqualTo(28);
        assertThat(Checkpoint.open(target()).tensors().keySet()).noneMatch(name -> name.contains("masked_bias"));
    }

    @Test
    void shards_holdAtMostWhatIsStated_andHaveAnIndex() throws IOException {
        CheckpointConverter.Result result = converter(GOLDENS.resolve(SEQUENTIAL), Optional.empty(), 150_000)
                .convertTo(target(), SILENT);
        assertThat(result.weightFiles()).hasSizeGreaterThan(2);
        Checkpoint made = Checkpoint.open(target());
        assertThat(made.format()).isEqualTo(WeightFormat.SAFETENSORS_SHARDED);
        assertThat(made.tensors()).hasSize(result.tensors());
        long bytes = 0;
        for (String file : result.weightFiles()) {
            assertThat(Files.size(target().resolve(file))).isLessThan(150_000 + 4_000);
            bytes += Files.size(target().resolve(file));
        }
        assertThat(bytes).isEqualTo(result.bytes());
    }

    @Test
    void type_isThatOfNumbersAndConfig_andNothingElseChanges() throws IOException {
        Path source = copy(SEQUENTIAL);
        String config = Files.readString(source.resolve("config.json"));
        assertThat(config).contains("\"torch_dtype\": \"float16\"");
        converter(source, Optional.of(DType.FLOAT32), Long.MAX_VALUE).convertTo(target(), SILENT);

        assertThat(Files.readString(target().resolve("config.json")).strip())
                .isEqualTo(config.replace("\"torch_dtype\": \"float16\"", "\"torch_dtype\": \"float32\"")
                        .strip());
        Checkpoint made = Checkpoint.open(target());
        assertThat(made.weightDType()).isEqualTo(DType.FLOAT32);
        String name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight";
        ByteBuffer old = ByteBuffer.wrap(
                        TensorBytes.dense(Checkpoint.open(source).tensors().get(name)))
                .order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer converted =
                ByteBuffer.wrap(TensorBytes.dense(made.tensors().get(name))).order(ByteOrder.LITTLE_ENDIAN);
        while (old.hasRemaining()) {
            assertThat(converted.getFloat()).isEqualTo(FloatConversion.fromFloat16(old.getShort()));
        }
        assertThat(converted.hasRemaining()).isFalse();
    }

    @Test
    void configWithoutType_isGivenOne() throws IOException {
        Path file = Files.writeString(folder.resolve("config.json"), "{\"a\": 1e-05, \"b\": null, \"c\": [\"<\"]}");
        assertThat(ConfigValues.read(file).withDType(DType.BFLOAT16))
                .isEqualToIgnoringWhitespace(
                        "{\"a\": 1e-05, \"b\": null, \"c\": [\"<\"], \"torch_dtype\": \"bfloat16\"}");
        Files.writeString(file, "{\"dtype\": \"float32\", \"torch_dtype\": \"float32\"}");
        assertThat(ConfigValues.read(file).withDType(DType.FLOAT16))
                .isEqualToIgnoringWhitespace("{\"dtype\": \"float16\", \"torch_dtype\": \"float16\"}");
    }

    @Test
    void companions_areCopied_butNoProgramsAndNoStrangersFiles() throws IOException {
        Path source = copy(SEQUENTIAL);
        Path secret = Files.writeString(folder.resolve("secret.txt"), "secret");
        Files.writeString(source.resolve("tokenizer.json"), "{}");
        Files.writeString(source.resolve("LICENSE"), "free");
        Files.writeString(source.resolve("README.md"), "a card");
        Files.writeString(source.resolve("modeling_gpt_neox.py"), "import os");
        Files.createSymbolicLink(source.resolve("notes.txt"), secret);
        Files.createSymbolicLink(source.resolve("vocab.json"), Path.of("tokenizer.json"));
        Files.createDirectory(source.resolve("runs.json"));

        CheckpointConverter.Result result =
                converter(source, Optional.empty(), Long.MAX_VALUE).convertTo(target(), SILENT);

        assertThat(result.copied()).containsExactly("LICENSE", "README.md", "tokenizer.json", "vocab.json");
        assertThat(result.notCopied()).containsExactly("modeling_gpt_neox.py", "notes.txt", "runs.json");
        try (Stream<Path> files = Files.list(target())) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder(
                            "LICENSE", "README.md", "tokenizer.json", "vocab.json", "config.json", "model.safetensors");
        }
        assertThat(target().resolve("vocab.json")).isRegularFile().hasContent("{}");
        assertThat(Files.isSymbolicLink(target().resolve("vocab.json"))).isFalse();
    }

    /** In the hub's cache each file of a snapshot is a link into the blobs of its repository. */
    @Test
    void snapshotOfTheHubsCache_isCopied() throws IOException {
        Path blobs = Files.createDirectories(folder.resolve("models--a--b/blobs"));
        Path snapshot = Files.createDirectories(folder.resolve("models--a--b/snapshots/0123"));
        try (Stream<Path> files = Files.list(GOLDENS.resolve(SEQUENTIAL))) {
            for (Path file : files.toList()) {
                Files.copy(file, blobs.resolve("blob-" + file.getFileName()));
                Files.createSymbolicLink(
                        snapshot.resolve(file.getFileName()), Path.of("../../blobs/blob-" + file.getFileName()));
            }
        }
        Files.writeString(blobs.resolve("x"), "{}");
        Files.createSymbolicLink(snapshot.resolve("tokenizer.json"), Path.of("../../blobs/x"));

        assertThat(converter(snapshot, Optional.empty(), Long.MAX_VALUE)
                        .convertTo(target(), SILENT)
                        .copied())
                .containsExactly("tokenizer.json");
        assertThat(Checkpoint.open(target()).tensors()).hasSize(28);
    }

    @Test
    void folderThatHoldsFiles_isNotTouched() throws IOException {
        Path mine = Files.writeString(Files.createDirectory(target()).resolve("mine.txt"), "x");
        assertThatThrownBy(() -> convert(SEQUENTIAL))
                .isInstanceOf(DollyException.class)
                .hasMessageContainingAll(target().toRealPath().toString(), "not empty");
        assertThat(mine).hasContent("x");
        Files.delete(mine);
        assertThat(convert(SEQUENTIAL).folder()).isNotEmptyDirectory();
    }

    @Test
    void placeWhereADiskIsMounted_isRefusedAtOnce() throws IOException {
        Path mounted = Files.createDirectory(target()).toRealPath();
        assertThatThrownBy(() -> NewFolder.begin(
                        target(), path -> Files.getFileStore(path.equals(mounted) ? Path.of("/proc") : path)))
                .isInstanceOf(DollyException.class)
                .hasMessageContainingAll(mounted.toString(), "Name a folder inside it");
        assertThat(part()).doesNotExist();
        assertThat(mounted).isEmptyDirectory();
    }

    @Test
    void failedConversion_leavesNothing() throws IOException {
        CheckpointConverter converter = converter(GOLDENS.resolve(SEQUENTIAL), Optional.empty(), Long.MAX_VALUE);
        assertThatThrownBy(() -> converter.convertTo(target(), (bytes, total) -> {
                    assertThat(part()).isDirectoryNotContaining("glob:**/config.json");
                    if (bytes > total / 2) {
                        throw new CancellationException("enough");
                    }
                }))
                .isInstanceOf(CancellationException.class);
        assertThat(folder).isEmptyDirectory();
    }

    /** Halts a process in the middle of its conversion. */
    static final class Killed {
        private Killed() {}

        public static void main(String[] args) {
            converter(Path.of(args[0]), Optional.empty(), Long.MAX_VALUE)
                    .convertTo(Path.of(args[1]), (bytes, total) -> {
                        if (bytes > total / 2) {
                            Runtime.getRuntime().halt(9);
                        }
                    });
        }
    }

    @Test
    void killedConversion_leavesNoModel_andTheNextOneCleansUp() throws Exception {
        String source = GOLDENS.resolve(SEQUENTIAL).toString();
        new JavaProcess(Killed.class, source, target().toString()).output();
        assertThat(target()).doesNotExist();
        assertThat(part()).isNotEmptyDirectory();
        assertThatThrownBy(() -> Checkpoint.open(part())).hasMessageContaining("no config.json");

        Files.writeString(part().resolve("rest"), "x");
        convert(SEQUENTIAL);
        assertThat(part()).doesNotExist();
        assertThat(target()).isDirectoryNotContaining("glob:**/rest");
        assertThat(Checkpoint.open(target()).tensors()).hasSize(28);
    }

    /** Converts to bfloat16: source, target. */
    static final class Narrowed {
        public static void main(String[] folders) {
            new CheckpointConverter(
                            Checkpoint.open(Path.of(folders[0])), Set.of(), Optional.of(DType.BFLOAT16), Long.MAX_VALUE)
                    .convertTo(Path.of(folders[1]), SILENT);
            System.out.println("converted");
        }
    }

    @Test
    void memory_doesNotGrowWithTheModel() throws Exception {
        int columns = 8192;
        Path source = Files.createDirectory(folder.resolve("source"));
        Files.writeString(source.resolve("config.json"), "{\"model_type\": \"gpt_neox\"}");
        TorchLegacyTest.writeTransposed(source.resolve("pytorch_model.bin"), 6144, columns);
        JavaProcess run = new JavaProcess(Narrowed.class, source.toString(), target().toString());
        run.options.addAll(List.of("-Xmx24m", "-XX:MaxDirectMemorySize=20m"));

        assertThat(run.output().strip()).isEqualTo("converted");

        assertThat(Files.size(source.resolve("pytorch_model.bin"))).isGreaterThan(200_000_000);
        TensorLocation made = Checkpoint.open(target()).tensors().get("a");
        assertThat(made.shape()).containsExactly(6144L, (long) columns);
        assertThat(made.length()).isEqualTo(2L * 6144 * columns);
    }

    @Test
    void conversionThatRunsAlready_isNotDisturbed() throws IOException {
        Files.createDirectory(part());
        try (FileChannel lock = FileChannel.open(
                part().resolve(".dolly4j-lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            assertThat(lock.lock()).isNotNull();
            assertThatThrownBy(() -> convert(SEQUENTIAL)).hasMessageContaining("Another process is writing");
        }
        assertThat(part()).isDirectory();
    }

    @Test
    void fullDisk_isSaidBeforeAnythingIsWritten() {
        var converter = new CheckpointConverter(
                Checkpoint.open(GOLDENS.resolve(SEQUENTIAL)),
                Set.of(),
                Optional.of(DType.FLOAT32),
                Long.MAX_VALUE,
                anyFolder -> 500_000);
        assertThatThrownBy(() -> converter.convertTo(target(), (bytes, total) -> {
                    throw new AssertionError("written");
                }))
                .isInstanceOf(DollyException.class)
                .hasMessageContainingAll("500,000 free", folder.getFileName().toString());
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void uselessOptions_areRefused() {
        Checkpoint checkpoint = Checkpoint.open(GOLDENS.resolve(SEQUENTIAL));
        assertThatThrownBy(() -> new CheckpointConverter(checkpoint, Set.of(), Optional.of(DType.INT8), 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("INT8");
        assertThatThrownBy(() -> new CheckpointConverter(checkpoint, Set.of(), Optional.empty(), 0))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() ->
                        new CheckpointConverter(checkpoint, checkpoint.tensors().keySet(), Optional.empty(), 1))
                .isInstanceOf(CheckpointException.class);
    }
}
