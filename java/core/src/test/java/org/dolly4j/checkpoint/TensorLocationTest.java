package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;

class TensorLocationTest {
    private static final Path FILE = Path.of("w.bin");

    private static TensorLocation view(long runBytes, long first, List<Long> shape, List<Long> strides) {
        return TensorLocation.inRun("w", FILE, 1000, runBytes, DType.FLOAT32, first, shape, strides);
    }

    @Test
    void view_thatEndsWithItsStorage_isPlaced() {
        TensorLocation tensor = view(48, 2, List.of(2L, 5L), List.of(5L, 1L));
        assertThat(tensor.offset()).isEqualTo(1008);
        assertThat(tensor.length()).isEqualTo(40);
        assertThat(tensor.elements()).isEqualTo(10);
        assertThat(tensor.isContiguous()).isTrue();
    }

    @Test
    void view_oneElementPastItsStorage_isRefusedWithBothSizes() {
        assertThatThrownBy(() -> view(44, 2, List.of(2L, 5L), List.of(5L, 1L)))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("w.bin: tensor 'w'")
                .hasMessageContaining("ends at byte 48 of its storage, which has 44");
    }

    @Test
    void transposedView_spansItsStorage_andIsNotContiguous() {
        TensorLocation tensor = view(60, 0, List.of(5L, 3L), List.of(1L, 5L));
        assertThat(tensor.length()).isEqualTo(60);
        assertThat(tensor.isContiguous()).isFalse();
    }

    @Test
    void broadcastView_takesOneElement() {
        TensorLocation tensor = view(4, 0, List.of(7L), List.of(0L));
        assertThat(tensor.length()).isEqualTo(4);
        assertThat(tensor.isContiguous()).isFalse();
    }

    @Test
    void strideOfASingleRow_doesNotMatter() {
        assertThat(view(20, 0, List.of(1L, 5L), List.of(99L, 1L)).isContiguous())
                .isTrue();
    }

    @Test
    void scalar_hasOneElement_andEmptyTensorNone() {
        assertThat(view(4, 0, List.of(), List.of()).length()).isEqualTo(4);
        TensorLocation empty = view(0, 0, List.of(3L, 0L), List.of(0L, 1L));
        assertThat(empty.length()).isZero();
        assertThat(empty.isContiguous()).isTrue();
    }

    @Test
    void emptyTensor_beginningPastItsStorage_isRefused() {
        assertThatThrownBy(() -> view(4, 2, List.of(0L), List.of(1L))).isInstanceOf(CheckpointException.class);
    }

    @Test
    void negativeSizes_areRefused() {
        assertThatThrownBy(() -> view(4, -1, List.of(1L), List.of(1L))).hasMessageContaining("negative");
        assertThatThrownBy(() -> view(4, 0, List.of(-1L), List.of(1L))).hasMessageContaining("negative");
        assertThatThrownBy(() -> view(40, 3, List.of(2L), List.of(-1L))).hasMessageContaining("negative");
    }

    @Test
    void sizesThatOverflow_areRefused_notWrapped() {
        long huge = 1L << 62;
        assertThatThrownBy(() -> view(40, 0, List.of(huge, 4L), List.of(0L, 0L)))
                .hasMessageContaining("too large");
        assertThatThrownBy(() -> view(40, 0, List.of(3L), List.of(huge))).hasMessageContaining("too large");
        assertThatThrownBy(() -> view(40, huge, List.of(1L), List.of(1L))).hasMessageContaining("too large");
    }

    @Test
    void moreDimensionsThanAnyTensorHas_areRefused() {
        List<Long> ones = Collections.nCopies(TensorLocation.MAX_DIMENSIONS + 1, 1L);
        assertThatThrownBy(() -> view(40, 0, ones, ones)).hasMessageContaining("17 sizes");
        assertThatThrownBy(() -> view(40, 0, List.of(1L), List.of())).hasMessageContaining("1 sizes and 0 strides");
    }

    @Test
    void sameElements_meansSameBytesInTheSameArrangement() {
        TensorLocation tensor = view(48, 0, List.of(2L, 5L), List.of(5L, 1L));
        TensorLocation twin =
                TensorLocation.inRun("other", FILE, 1000, 48, DType.FLOAT32, 0, List.of(2L, 5L), List.of(5L, 1L));
        assertThat(tensor.sameElementsAs(twin)).isTrue();
        assertThat(tensor.sameElementsAs(view(48, 1, List.of(2L, 5L), List.of(5L, 1L))))
                .isFalse();
        assertThat(tensor.sameElementsAs(view(48, 0, List.of(2L, 5L), List.of(1L, 2L))))
                .isFalse();
    }
}
