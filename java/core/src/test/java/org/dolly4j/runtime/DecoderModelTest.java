package org.dolly4j.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.dolly4j.BackendException;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.model.Activation;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.SlotRows;
import org.dolly4j.model.WeightSlot;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

@ParameterizedClass
@EnumSource(Backend.class)
class DecoderModelTest {
    @TempDir
    Path folder;

    @Parameter
    Backend backend;

    @Test
    void loadThenClose_withoutAStep_freesTheModel() {
        DecoderModel model = new TinyModel(folder, backend).load();
        assertThat(model.weightBytes()).isPositive();
        model.close();
        assertThatCode(model::close).doesNotThrowAnyException();
        assertThatThrownBy(() -> model.newSession(4, 8, 1)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void load_nanInTheWeights_namesFileTensorAndRow() {
        TinyModel tiny = new TinyModel(folder, backend);
        TensorLocation tensor = tiny.rowsOf(WeightSlot.FC2_WEIGHT, 1).source();
        tiny.overwrite(tensor, 3 * TinyModel.SPEC.ffnSize() + 5, Float.NaN);
        assertThatThrownBy(tiny::load)
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll(tiny.file().toString(), "FC2_WEIGHT.1", "NaN", "row 3");
    }

    @Test
    void load_fileShortenedAfterItsHeaderWasRead_saysWhereItEnds() {
        TinyModel tiny = new TinyModel(folder, backend);
        byte[] bytes = tiny.read();
        tiny.write(Arrays.copyOf(bytes, bytes.length - 10));
        assertThatThrownBy(tiny::load)
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll(tiny.file().toString(), "HEAD_WEIGHT.0", String.valueOf(bytes.length));
    }

    @Test
    void load_missingFile_saysSo() throws Exception {
        TinyModel tiny = new TinyModel(folder, backend);
        Files.delete(tiny.file());
        assertThatThrownBy(tiny::load)
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll(tiny.file().toString(), "No such file");
    }

    @Test
    void load_slotWithoutRows_namesTheSlot() {
        TinyModel tiny = new TinyModel(folder, backend);
        List<SlotRows> rows = new ArrayList<>(tiny.rows());
        rows.remove(tiny.rowsOf(WeightSlot.DENSE_BIAS, 1));
        assertThatThrownBy(() -> tiny.load(rows))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll("dense.bias", "layer 1", "24");
    }

    @Test
    void load_integerWeights_areRefusedByTheirType() {
        TinyModel tiny = new TinyModel(folder, backend);
        SlotRows part = tiny.rowsOf(WeightSlot.QKV_WEIGHT, 0);
        TensorLocation t = part.source();
        TensorLocation integers =
                new TensorLocation(t.name(), t.path(), t.offset(), t.length(), DType.INT32, t.shape(), t.strides());
        List<SlotRows> rows = new ArrayList<>(tiny.rows());
        rows.set(rows.indexOf(part), new SlotRows(integers, part.slot(), part.layer(), part.runs()));
        assertThatThrownBy(() -> tiny.load(rows))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContainingAll("QKV_WEIGHT.0", "INT32");
    }

    @Test
    void load_thatIsGivenUp_endsBeforeTheNextTensor() {
        TinyModel tiny = new TinyModel(folder, backend);
        ModelOptions options = new ModelOptions(WeightType.FLOAT32, backend, "cpu", 1, false);
        AtomicInteger left = new AtomicInteger(3);
        assertThatThrownBy(() -> DecoderModel.load(
                        TinyModel.SPEC, tiny.rows(), options, 8, Optional.empty(), () -> left.getAndDecrement() <= 0))
                .isInstanceOf(CancellationException.class);
    }

    @Test
    void load_cudaDeviceThatIsNotThere_saysHowManyThereAre() {
        TinyModel tiny = new TinyModel(folder, backend);
        ModelOptions options = new ModelOptions(WeightType.FLOAT32, Backend.LIBTORCH, "cuda:700", 1, false);
        assertThatThrownBy(() -> DecoderModel.load(TinyModel.SPEC, tiny.rows(), options))
                .isInstanceOf(BackendException.class)
                .hasMessageContainingAll("cuda:700", "sees", "cuda.so");
    }

    @Test
    void load_weightsOrCacheThatNoMemoryHolds_areRefusedBeforeAFileIsOpened() {
        DecoderSpec huge = new DecoderSpec(
                100,
                8192,
                64,
                128,
                32768,
                50280,
                128,
                4,
                10_000,
                Activation.GELU_ERF,
                1e-5,
                true,
                false,
                true,
                true,
                false,
                false);
        ModelOptions options = new ModelOptions(WeightType.FLOAT32, backend, "cpu", 1, false);
        TinyModel tiny = new TinyModel(folder, backend);
        assertThatThrownBy(() -> DecoderModel.load(huge, List.of(), options))
                .isInstanceOf(BackendException.class)
                .hasMessageContainingAll("for its weights", "of memory are available", "bfloat16");
        assertThatThrownBy(() ->
                        DecoderModel.load(TinyModel.SPEC, List.of(), options, 1 << 26, Optional.empty(), () -> false))
                .isInstanceOf(BackendException.class)
                .hasMessageContainingAll(" GB for its KV cache", "of memory are available", "KV cache smaller");
        DecoderModel.load(TinyModel.SPEC, tiny.rows(), options, 8, Optional.empty(), () -> false)
                .close();
    }

    @Test
    void modelOptions_unknownDeviceOrNegativeThreads_areRefused() {
        assertThatThrownBy(() -> new ModelOptions(WeightType.FLOAT32, Backend.LIBTORCH, "tpu", 0, false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("tpu");
        assertThatThrownBy(() -> new ModelOptions(WeightType.FLOAT32, backend, "cpu", -1, false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("-1");
    }

    @Test
    void modelOptions_thatTheBackendLacks_areRefused() {
        assertThatThrownBy(() -> new ModelOptions(WeightType.FLOAT32, Backend.KERNELS, "cuda", 0, false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("libtorch");
        assertThatThrownBy(() -> new ModelOptions(WeightType.FLOAT32, Backend.LIBTORCH, "cpu", 0, true))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("portableBits");
    }

    /** Kernels flush denormals; the thread that runs a step must not be left that way. */
    @Test
    void step_leavesJavasDenormalsAlone() {
        try (DecoderModel model = new TinyModel(folder, backend).load();
                DecoderSession session = model.newSession(4, 8, 8)) {
            for (int i = 0; i < 100; i++) {
                session.step(batch(0, 7));
                assertThat(halved(Float.MIN_NORMAL)).isPositive();
                assertThat(Math.fma(0.25f, Float.MIN_NORMAL, 0f)).isPositive();
            }
        }
    }

    private static float halved(float value) {
        return value / 2;
    }

    @Test
    void step_outOfRangeTokenOrBlock_isRefusedAndTheSessionGoesOn() {
        try (DecoderModel model = new TinyModel(folder, backend).load();
                DecoderSession session = model.newSession(4, 8, 8)) {
            assertThatThrownBy(() -> session.step(batch(0, 50)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("50");
            Batch wrongBlock = new Batch(1, 1, 1);
            wrongBlock.beginSequence(0, new int[] {4}, 1);
            wrongBlock.addRow(1, true);
            assertThatThrownBy(() -> session.step(wrongBlock)).isInstanceOf(IllegalArgumentException.class);
            assertThat(session.step(batch(0, 1, 2)).remaining()).isEqualTo(2 * 50);
        }
    }

    @Test
    void session_outlivesItsClosedModel() {
        DecoderModel model = new TinyModel(folder, backend).load();
        DecoderSession session = model.newSession(4, 8, 8);
        float before = session.step(batch(0, 7)).get(3);
        model.close();
        assertThat(session.step(batch(0, 7)).get(3)).isEqualTo(before);
        session.close();
        assertThatThrownBy(() -> session.step(batch(0, 7))).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> session.copyBlock(0, 1)).isInstanceOf(IllegalStateException.class);
        assertThatCode(session::abort).doesNotThrowAnyException();
        assertThatCode(session::close).doesNotThrowAnyException();
    }

    @Test
    void logitsOfAClosedSession_canStillBeRead() {
        FloatBuffer logits;
        float value;
        try (DecoderModel model = new TinyModel(folder, backend).load();
                DecoderSession session = model.newSession(4, 8, 8)) {
            logits = session.step(batch(0, 7));
            value = logits.get(3);
        }
        assertThat(logits.get(3)).isEqualTo(value);
    }

    @Test
    void hiddenStates_goToTheBuffersPositionOn() {
        try (DecoderModel model = new TinyModel(folder, backend).load();
                DecoderSession session = model.newSession(4, 8, 8)) {
            FloatBuffer whole = hiddenBuffer(0);
            session.step(batch(0, 7), whole);
            FloatBuffer shifted = hiddenBuffer(5).position(3);
            session.step(batch(0, 7), shifted);
            assertThat(shifted.position()).isEqualTo(3);
            assertThat(shifted.slice(3, whole.capacity())).isEqualTo(whole);
            for (int untouched : new int[] {0, 1, 2, whole.capacity() + 3, whole.capacity() + 4}) {
                assertThat(shifted.get(untouched)).isZero();
            }
        }
    }

    @Test
    void hiddenStates_inABufferThatCannotTakeThem_areRefusedWithTheReason() {
        try (DecoderModel model = new TinyModel(folder, backend).load();
                DecoderSession session = model.newSession(4, 8, 8)) {
            FloatBuffer exact = hiddenBuffer(0);
            session.step(batch(0, 7), exact);
            assertThat(exact.get(exact.capacity() - 1)).isNotZero();
            ByteOrder other =
                    ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
            FloatBuffer swapped = ByteBuffer.allocateDirect(exact.capacity() * Float.BYTES)
                    .order(other)
                    .asFloatBuffer();
            assertRefused(session, exact.duplicate().position(1), "has room for 95 floats; 96 are needed");
            assertRefused(session, FloatBuffer.allocate(exact.capacity()), "is on the heap");
            assertRefused(session, exact.asReadOnlyBuffer(), "is read-only");
            assertRefused(session, swapped, "byte order");
        }
    }

    private static void assertRefused(DecoderSession session, FloatBuffer hidden, String reason) {
        assertThatThrownBy(() -> session.step(batch(0, 7), hidden))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(reason);
    }

    /** For one row, and so many floats more. */
    private static FloatBuffer hiddenBuffer(int more) {
        int needed = (TinyModel.SPEC.layers() + 2) * TinyModel.SPEC.hiddenSize();
        return ByteBuffer.allocateDirect((needed + more) * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    @Test
    void newSession_moreLogitsThanABufferHolds_isRefusedWithItsSize() {
        try (DecoderModel model = new TinyModel(folder, backend).load()) {
            assertThatThrownBy(() -> model.newSession(4, 1 << 24, 1 << 24))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContainingAll("maxLogitsRows", "50 tokens", "3355443200 bytes");
        }
    }

    @Test
    void batch_rowBeforeItsSequence_isRefused() {
        Batch batch = new Batch(4, 2, 1);
        assertThatThrownBy(() -> batch.addRow(1, true))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("beginSequence");
        batch.beginSequence(0, new int[] {0}, 1);
        batch.addRow(1, true);
        batch.clear();
        assertThatThrownBy(() -> batch.addRow(1, true)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void close_whileAnotherThreadSteps_endsThatThreadWithAClearException() throws Exception {
        DecoderModel model = new TinyModel(folder, backend).load();
        DecoderSession session = model.newSession(8, 128, 1);
        ExecutorService executor = Executors.newSingleThreadExecutor();
        try {
            CountDownLatch stepped = new CountDownLatch(3);
            Future<?> stepping = executor.submit(() -> {
                int[] tokens = new int[100];
                while (true) {
                    session.step(batch(0, tokens));
                    stepped.countDown();
                }
            });
            assertThat(stepped.await(30, TimeUnit.SECONDS)).isTrue();
            session.close();
            model.close();
            assertThatThrownBy(() -> stepping.get(30, TimeUnit.SECONDS))
                    .cause()
                    .satisfiesAnyOf(
                            cause -> assertThat(cause).isInstanceOf(IllegalStateException.class),
                            cause -> assertThat(cause)
                                    .isInstanceOf(BackendException.class)
                                    .hasMessageContaining("aborted"));
        } finally {
            executor.shutdownNow();
        }
    }

    private static Batch batch(int cached, int... tokens) {
        Batch batch = new Batch(tokens.length, 1, 8);
        batch.beginSequence(cached, new int[] {0, 1, 2, 3, 4, 5, 6, 7}, Math.max(1, (tokens.length + 15) / 16));
        for (int i = 0; i < tokens.length; i++) {
            batch.addRow(tokens[i], tokens.length <= 8 || i == tokens.length - 1);
        }
        return batch;
    }
}
