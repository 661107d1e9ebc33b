package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.dolly4j.model.Family;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What is converted, as Python's packages read it. The interpreter is what the system property {@code
 * dolly4j.test.python} or the environment variable {@code DOLLY4J_TEST_PYTHON} names, or else {@code python3}; {@code
 * dolly4j.test.checkpoints} names another folder of model folders.
 */
class ConversionPythonTest {
    private static final Path CHECKPOINTS =
            Path.of(System.getProperty("dolly4j.test.checkpoints", "src/test/resources/goldens/models/checkpoints"));
    private static final Path SCRIPT = Path.of("src/test/resources/convert/compare.py");

    /** Small enough for several files of each golden. */
    private static final long SHARD_BYTES = 200_000;

    @TempDir
    private Path folder;

    private final List<String> lines = new ArrayList<>();

    @Test
    void convertedModels_areThoseThatHuggingFaceLoadsAndSaves() throws Exception {
        requirePackages();
        try (Stream<Path> models = Files.list(CHECKPOINTS)) {
            for (Path model : models.sorted().toList()) {
                Checkpoint checkpoint = Checkpoint.open(model);
                Set<String> redundant =
                        Family.of(checkpoint.config()).roles(checkpoint).redundant();
                convert("model", checkpoint, redundant, Optional.empty(), Long.MAX_VALUE);
                convert("model", checkpoint, redundant, Optional.of(DType.FLOAT32), SHARD_BYTES);
                convert("model", checkpoint, redundant, Optional.of(DType.BFLOAT16), Long.MAX_VALUE);
                convert("model", checkpoint, redundant, Optional.of(DType.FLOAT16), SHARD_BYTES);
            }
        }
        assertAllSame();
    }

    @Test
    void numbersOfAllKinds_areRoundedAsByPyTorch() throws Exception {
        requirePackages();
        Checkpoint checkpoint = numbers();
        convert("tensors", checkpoint, Set.of(), Optional.empty(), Long.MAX_VALUE);
        convert("tensors", checkpoint, Set.of(), Optional.of(DType.FLOAT32), Long.MAX_VALUE);
        convert("tensors", checkpoint, Set.of(), Optional.of(DType.BFLOAT16), Long.MAX_VALUE);
        convert("tensors", checkpoint, Set.of(), Optional.of(DType.FLOAT16), Long.MAX_VALUE);
        assertAllSame();
    }

    private void convert(
            String kind, Checkpoint source, Set<String> leftOut, Optional<DType> dtype, long maxShardBytes) {
        Path target = folder.resolve("converted-" + lines.size());
        new CheckpointConverter(source, leftOut, dtype, maxShardBytes).convertTo(target, (bytes, total) -> {});
        lines.add(String.join(
                " ",
                kind,
                source.folder().toAbsolutePath().toString(),
                target.toString(),
                dtype.map(type -> type.name().toLowerCase(Locale.ROOT)).orElse("keep")));
    }

    /** A folder with all numbers of 16 bits, numbers of any bits of 32 and 64, and whole numbers. */
    private Checkpoint numbers() throws IOException {
        Random random = new Random(5);
        Map<DType, ByteBuffer> data = new LinkedHashMap<>();
        for (DType type : DType.values()) {
            int elements = type.bytes() == 1 ? 7 : type == DType.FLOAT32 ? 1 << 20 : 1 << 16;
            ByteBuffer bytes = ByteBuffer.allocate(elements * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < elements; i++) {
                switch (type) {
                    case FLOAT16, BFLOAT16, INT16 -> bytes.putShort((short) i);
                    case FLOAT32, INT32 -> bytes.putInt(random.nextInt());
                    case FLOAT64 -> bytes.putDouble(random.nextGaussian() * Math.pow(2, random.nextInt(-40, 40)));
                    case INT64 -> bytes.putLong(random.nextLong());
                    case INT8, UINT8, BOOL -> bytes.put((byte) (i & 1));
                }
            }
            data.put(type, bytes.flip());
        }
        Path made = Files.createDirectory(folder.resolve("numbers"));
        Files.writeString(made.resolve("config.json"), "{\"model_type\": \"gpt_neox\"}");
        List<SafetensorsWriter.Tensor> tensors = data.entrySet().stream()
                .map(entry -> new SafetensorsWriter.Tensor(
                        entry.getKey().name(),
                        entry.getKey(),
                        List.of((long) entry.getValue().limit() / entry.getKey().bytes())))
                .toList();
        new SafetensorsWriter(tensors, Long.MAX_VALUE).write(made, (file, offsets) -> {
            for (Map.Entry<String, Long> entry : offsets.entrySet()) {
                file.write(data.get(DType.valueOf(entry.getKey())), entry.getValue());
            }
        });
        return Checkpoint.open(made);
    }

    private void assertAllSame() throws IOException, InterruptedException {
        Path list = Files.write(folder.resolve("list"), lines);
        List<String> verdicts =
                python(SCRIPT.toString(), list.toString()).lines().toList();
        assertThat(verdicts).hasSameSizeAs(lines);
        for (int i = 0; i < lines.size(); i++) {
            assertThat(verdicts.get(i)).as(lines.get(i)).isEqualTo("ok");
        }
    }

    private static void requirePackages() throws InterruptedException {
        String found;
        try {
            found = python(
                    "-c",
                    "import importlib.util as u; names = ['torch', 'transformers', 'safetensors'];"
                            + " print('found' if all(map(u.find_spec, names)) else 'It lacks one of them.')");
        } catch (IOException e) {
            found = e.getMessage();
        }
        String reason = found.strip().lines().reduce("", (earlier, line) -> line);
        assumeTrue(
                reason.equals("found"),
                "Python's packages torch, transformers and safetensors are needed: name an interpreter that has them by"
                        + " -Ddolly4j.test.python or DOLLY4J_TEST_PYTHON. " + reason);
    }

    private static String python(String... arguments) throws IOException, InterruptedException {
        String stated = System.getenv().getOrDefault("DOLLY4J_TEST_PYTHON", "python3");
        List<String> command = new ArrayList<>(List.of(System.getProperty("dolly4j.test.python", stated)));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("HF_HUB_OFFLINE", "1");
        builder.environment().put("HF_HUB_DISABLE_PROGRESS_BARS", "1");
        builder.environment().put("TQDM_DISABLE", "1");
        Process process = builder.start();
        try (InputStream output = process.getInputStream()) {
            String text = new String(output.readAllBytes(), StandardCharsets.UTF_8);
            process.waitFor();
            return text;
        }
    }
}
