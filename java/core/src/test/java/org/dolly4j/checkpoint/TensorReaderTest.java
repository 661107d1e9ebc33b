package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorReaderTest {
    private static final int FILE_BYTES = 200_000;

    @TempDir
    private Path folder;

    private final TensorReader reader = new TensorReader();

    private Path file() throws IOException {
        byte[] bytes = new byte[FILE_BYTES];
        new Random(3).nextBytes(bytes);
        return Files.write(folder.resolve("data"), bytes);
    }

    private static TensorLocation view(Path file, DType dtype, List<Long> shape, List<Long> strides) {
        return TensorLocation.inRun("view", file, 5, FILE_BYTES - 5, dtype, 3, shape, strides);
    }

    private byte[] read(TensorLocation tensor, int mostElements) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        reader.read(tensor, mostElements, elements -> {
            assertThat(elements.remaining())
                    .isBetween(1, mostElements * tensor.dtype().bytes());
            byte[] bytes = new byte[elements.remaining()];
            elements.get(bytes);
            all.writeBytes(bytes);
        });
        return all.toByteArray();
    }

    private void assertReadAsItIs(TensorLocation tensor) throws IOException {
        byte[] expected = TensorBytes.dense(tensor);
        for (int most : new int[] {1, 2, 7, 100, 1 << 20}) {
            assertThat(read(tensor, most)).as("%s, %d at once", tensor, most).isEqualTo(expected);
        }
    }

    @Test
    void views_areReadInTheOrderOfTheirElements() throws IOException {
        Path file = file();
        assertReadAsItIs(view(file, DType.FLOAT32, List.of(50L, 70L), List.of(70L, 1L))); // whole
        assertReadAsItIs(view(file, DType.FLOAT32, List.of(70L, 50L), List.of(1L, 70L))); // transposed
        assertReadAsItIs(view(file, DType.BFLOAT16, List.of(40L, 20L), List.of(90L, 1L))); // columns
        assertReadAsItIs(view(file, DType.FLOAT16, List.of(20L, 9L), List.of(2_500L, 3L))); // every third
        assertReadAsItIs(view(file, DType.FLOAT64, List.of(3L, 2L, 4L, 5L), List.of(1L, 60L, 15L, 3L))); // permuted
        assertReadAsItIs(view(file, DType.UINT8, List.of(30L, 5L), List.of(0L, 1L))); // repeated rows
        assertReadAsItIs(view(file, DType.INT16, List.of(4L, 30L), List.of(0L, 0L))); // one number
        assertReadAsItIs(view(file, DType.INT64, List.of(), List.of()));
        assertReadAsItIs(view(file, DType.FLOAT32, List.of(1L, 6L, 1L), List.of(77L, 1L, 99L)));
        assertReadAsItIs(view(file, DType.FLOAT32, List.of(6L, 0L), List.of(1L, 1L)));
    }

    @Test
    void randomViews_areReadInTheOrderOfTheirElements() throws IOException {
        Path file = file();
        Random random = new Random(11);
        int read = 0;
        while (read < 300) {
            List<Long> shape = new ArrayList<>();
            List<Long> strides = new ArrayList<>();
            for (int d = random.nextInt(5); d > 0; d--) {
                shape.add((long) random.nextInt(1, 12));
                strides.add((long) random.nextInt(random.nextBoolean() ? 4 : 1_500));
            }
            DType dtype = List.of(DType.values()).get(random.nextInt(DType.values().length));
            try {
                TensorLocation view = view(file, dtype, shape, strides);
                assertThat(read(view, random.nextInt(1, 200))).as("%s", view).isEqualTo(TensorBytes.dense(view));
                read++;
            } catch (CheckpointException e) {
                assertThat(e).hasMessageContaining("ends at byte"); // beyond the file
            }
        }
    }

    /** More than a buffer, in order and transposed. */
    @Test
    void largeTensors_areReadPieceByPiece() throws IOException {
        long rows = 1_500;
        long columns = 2_000;
        byte[] bytes = new byte[(int) (rows * columns * Float.BYTES)];
        new Random(4).nextBytes(bytes);
        Path file = Files.write(folder.resolve("large"), bytes);
        var whole = TensorLocation.inRun(
                "w", file, 0, bytes.length, DType.FLOAT32, 0, List.of(rows, columns), List.of(columns, 1L));
        assertThat(read(whole, TensorReader.PIECE_BYTES)).isEqualTo(bytes);
        var transposed = TensorLocation.inRun(
                "t", file, 0, bytes.length, DType.FLOAT32, 0, List.of(columns, rows), List.of(1L, columns));
        assertThat(read(transposed, TensorReader.PIECE_BYTES)).isEqualTo(TensorBytes.dense(transposed));
    }

    @Test
    void fileThatBecameShorter_isNamedWithTheTensor() throws IOException {
        Path file = file();
        TensorLocation view = view(file, DType.FLOAT32, List.of(40_000L), Collections.nCopies(1, 1L));
        Files.write(file, new byte[1000]);
        assertThatThrownBy(() -> read(view, 1 << 20))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll(file.toString(), "became shorter", "'view'");
    }
}
