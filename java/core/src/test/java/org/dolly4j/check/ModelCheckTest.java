package org.dolly4j.check;

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
import java.util.Map;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.dolly4j.DollyOptions;
import org.dolly4j.TestTokenizers;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.Safetensors;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelCheckTest {
    private static final Path GOLDENS = TestTokenizers.resource("/goldens/models");
    private static final String NAME = "neox-sequential-fp16-legacy-buffers";
    private static final String PROPERTIES = "{\"checkpoint\": \"" + NAME + "\"}";

    /**
     * float32: 5 prompts, 5 greedy, 2 cached, 4 hidden; bfloat16: 5 and 2 of Hugging Face's, their mean, 3 greedy;
     * int8 and int4: their divergence.
     */
    private static final int PASSED = 16 + 8 + 3 + 2;

    @TempDir
    private Path folder;

    @Test
    void golden_passes_andSaysHowManyGreedyTokensWereCompared() throws IOException {
        copyGolden();

        List<CheckReport> reports = run(PROPERTIES);

        assertThat(reports).hasSize(2);
        assertThat(reports).flatExtracting(CheckReport::failures).isEmpty();
        CheckReport report = reports.get(0);
        assertThat(report.part()).isEqualTo("models/" + NAME);
        assertThat(report.passed()).isEqualTo(PASSED);
        assertThat(report.figures()).hasSize(4);
        assertThat(report.figures().get(0)).endsWith("; 240 of 240 greedy tokens compared");
        assertThat(report.figures().get(1)).matches(".*; [0-9]+ of 240 greedy tokens compared.*");
        assertThat(report.figures().get(2)).startsWith("int8: mean KL divergence from float32 ");
        assertThat(report.figures().get(3))
                .matches("int4: mean KL divergence from float32 .* the same most likely token in [0-9]+ of 113 rows");
        assertThat(reports.get(1).passed()).isEqualTo(1);
    }

    @Test
    void oneAlteredValue_failsByName() throws IOException {
        copyGolden();
        alterFloat("prompt.0.logits", 5, 1e-3f);
        alterFloat("cached.3.logits", 100, 1e-3f);
        alterFloat("prompt.3.hidden.embed", 7, 1e-3f);
        alterFloat("prompt.3.hidden.block.0", 8, 1e-2f);
        alterFloat("prompt.3.hidden.final_norm", 9, 1e-2f);
        alterFloat("prompt.4.logits_bf16", 6, 10);
        write("greedy.2.ids", 40, buffer -> buffer.putLong(buffer.getLong(0) == 17 ? 18 : 17));

        List<CheckReport> reports = run(PROPERTIES);

        assertThat(reports.get(0).failures())
                .satisfiesExactly(
                        failure -> assertThat(failure).startsWith("prompt.0.logits: differs by "),
                        failure -> assertThat(failure).startsWith("greedy.2 in float32: token 40 is "),
                        failure -> assertThat(failure).startsWith("cached.3.logits: differs by "),
                        failure -> assertThat(failure).startsWith("prompt.3.hidden.embed: differs by "),
                        failure -> assertThat(failure).startsWith("prompt.3.hidden.block.0: differs by "),
                        failure -> assertThat(failure).startsWith("prompt.3.hidden.final_norm: differs by "),
                        failure -> assertThat(failure).startsWith("prompt.4.logits_bf16: differs by "));
        assertThat(reports.get(1).failures()).isEmpty();
    }

    @Test
    void bfloat16ThatLosesMoreThanHuggingFaces_fails() throws IOException {
        copyGolden();
        Map<String, TensorLocation> tensors = Safetensors.read(expected());
        for (String name : List.of("prompt.2.logits", "prompt.4.logits")) {
            float[] exact = new GoldenTensors(expected())
                    .floats(name, (int) tensors.get(name).length() / Float.BYTES);
            for (int i = 0; i < exact.length; i++) {
                short rounded = (short) ((Float.floatToIntBits(exact[i]) + 0x7FFF) >>> Short.SIZE);
                write(name + "_bf16", i, buffer -> buffer.putShort(rounded));
            }
        }

        List<CheckReport> reports = run(PROPERTIES);

        assertThat(reports.get(0).failures()).isEmpty();
        assertThat(reports.get(1).failures())
                .singleElement()
                .asString()
                .startsWith("all: the ratio to Hugging Face's is ");
    }

    @Test
    void quantisedLogitsThatLoseTooMuch_failByType() throws IOException {
        copyGolden();
        int vocabSize = 320;
        for (int row = 0; row < 70; row++) {
            alterFloat("prompt.4.logits", row * vocabSize + 5, 20);
        }

        List<CheckReport> reports = run(PROPERTIES);

        assertThat(reports.get(0).failures())
                .anyMatch(failure -> failure.startsWith("int8: the mean KL divergence from float32 is "))
                .anyMatch(failure -> failure.startsWith("int4: the mean KL divergence from float32 is "));
    }

    @Test
    void quantisedWeights_areSkippedWithTheirReasonOnLibtorch() throws IOException {
        copyGolden();
        Files.write(folder.resolve("models.jsonl"), List.of(PROPERTIES));
        DollyOptions options = DollyOptions.builder().backend(Backend.LIBTORCH).build();

        CheckReport report = ModelCheck.run(folder, options).get(0);

        assertThat(report.failures()).isEmpty();
        assertThat(report.skips()).contains("int8, int4: quantised weights need the backend kernels");
        assertThat(report.passed()).isEqualTo(PASSED - 2);
    }

    @Test
    void promptWithoutASureToken_isNamedAndNotPassed() throws IOException {
        copyGolden();
        write("greedy.1.margin", 0, buffer -> buffer.putFloat(1e-4f));

        CheckReport report = run(PROPERTIES).get(0);

        assertThat(report.failures()).isEmpty();
        assertThat(report.figures().get(0)).endsWith("; 192 of 240 greedy tokens compared (none of greedy.1)");
        assertThat(report.passed()).isEqualTo(PASSED - 2); // bfloat16 has no sure token either, then
    }

    @Test
    void checkpointThatCannotBeRun_failsByNameAndTheOthersAreRun() throws IOException {
        copyGolden();
        Files.copy(expected(), folder.resolve("expected/cut.safetensors"));
        Path cut = Files.createDirectories(folder.resolve("checkpoints/cut"));
        Files.writeString(cut.resolve("config.json"), "{}");

        List<CheckReport> reports = run("{\"checkpoint\": \"gone\"}", "{\"checkpoint\": \"cut\"}", PROPERTIES);

        assertThat(reports).extracting(CheckReport::part).startsWith("models/gone", "models/cut");
        assertThat(reports.get(0).failures()).singleElement().asString().startsWith("gone: ");
        assertThat(reports.get(1).failures()).singleElement().asString().startsWith("cut: ");
        assertThat(reports.get(2).failures()).isEmpty();
        assertThat(reports.get(2).passed()).isPositive();
    }

    @Test
    void lineThatNamesNoCheckpoint_isRefusedByFileLineAndField() throws IOException {
        assertThatThrownBy(() -> run("{\"family\": \"gpt_neox\"}"))
                .isInstanceOf(CheckpointException.class)
                .hasMessage(folder.resolve("models.jsonl") + ": line 1 lacks the field 'checkpoint'");
        assertThatThrownBy(() -> run("{\"family\": "))
                .isInstanceOf(CheckpointException.class)
                .hasMessage(folder.resolve("models.jsonl") + ": line 1 is not a JSON object");
    }

    private List<CheckReport> run(String... properties) throws IOException {
        Files.write(folder.resolve("models.jsonl"), List.of(properties));
        return ModelCheck.run(folder, DollyOptions.defaults());
    }

    private Path expected() {
        return folder.resolve("expected").resolve(NAME + ".safetensors");
    }

    private void copyGolden() throws IOException {
        Files.createDirectories(expected().getParent());
        Files.copy(GOLDENS.resolve("expected").resolve(NAME + ".safetensors"), expected());
        Path checkpoint = Files.createDirectories(folder.resolve("checkpoints").resolve(NAME));
        try (Stream<Path> files = Files.list(GOLDENS.resolve("checkpoints").resolve(NAME))) {
            for (Path file : files.toList()) {
                Files.copy(file, checkpoint.resolve(file.getFileName()));
            }
        }
    }

    /** Adds to an element of a float32 or bfloat16 tensor. */
    private void alterFloat(String tensor, int index, float difference) throws IOException {
        boolean bfloat16 = Safetensors.read(expected()).get(tensor).dtype() == DType.BFLOAT16;
        write(tensor, index, buffer -> {
            if (bfloat16) {
                float altered = Float.intBitsToFloat(buffer.getShort(0) << Short.SIZE) + difference;
                buffer.putShort((short) (Float.floatToIntBits(altered) >>> Short.SIZE));
            } else {
                buffer.putFloat(buffer.getFloat(0) + difference);
            }
        });
    }

    private interface Change {
        void apply(ByteBuffer element);
    }

    private void write(String tensor, int index, Change change) throws IOException {
        TensorLocation location = Safetensors.read(expected()).get(tensor);
        int bytes = location.dtype().bytes();
        ByteBuffer element = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long at = location.offset() + (long) index * bytes;
        try (FileChannel file = FileChannel.open(expected(), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            file.read(element, at);
            change.apply(element.rewind());
            file.write(element.rewind(), at);
        }
    }
}
