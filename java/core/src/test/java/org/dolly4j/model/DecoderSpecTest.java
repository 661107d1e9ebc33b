package org.dolly4j.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class DecoderSpecTest {
    /** A spec with the sizes and traits that the tests vary. */
    private static DecoderSpec spec(
            int headSize, int rotaryDims, boolean sharedNorm, boolean attentionBias, boolean headBias, boolean tied) {
        return new DecoderSpec(
                2,
                3 * headSize,
                3,
                headSize,
                100,
                50,
                64,
                rotaryDims,
                10_000,
                Activation.GELU_TANH,
                1e-5,
                true,
                sharedNorm,
                attentionBias,
                true,
                headBias,
                tied);
    }

    @Test
    void slots_haveTheShapesTheirDocumentationStates() {
        DecoderSpec spec = spec(4, 2, false, true, false, false);
        assertThat(spec.rows(WeightSlot.EMBEDDING)).isEqualTo(50);
        assertThat(spec.columns(WeightSlot.EMBEDDING)).isEqualTo(12);
        assertThat(spec.rows(WeightSlot.QKV_WEIGHT)).isEqualTo(36);
        assertThat(spec.columns(WeightSlot.QKV_WEIGHT)).isEqualTo(12);
        assertThat(spec.rows(WeightSlot.QKV_BIAS)).isEqualTo(36);
        assertThat(spec.rows(WeightSlot.FC1_WEIGHT)).isEqualTo(100);
        assertThat(spec.columns(WeightSlot.FC1_WEIGHT)).isEqualTo(12);
        assertThat(spec.rows(WeightSlot.FC2_WEIGHT)).isEqualTo(12);
        assertThat(spec.columns(WeightSlot.FC2_WEIGHT)).isEqualTo(100);
        assertThat(spec.rows(WeightSlot.HEAD_WEIGHT)).isEqualTo(50);
        assertThat(Arrays.stream(WeightSlot.values()).filter(WeightSlot::isVector))
                .allMatch(slot -> spec.columns(slot) == 1)
                .hasSize(11);
    }

    @Test
    void traits_decideWhichSlotsThereAre() {
        DecoderSpec neoX = spec(4, 2, false, true, false, false);
        assertThat(neoX.has(WeightSlot.FFN_NORM_WEIGHT)).isTrue();
        assertThat(neoX.has(WeightSlot.QKV_BIAS)).isTrue();
        assertThat(neoX.has(WeightSlot.HEAD_WEIGHT)).isTrue();
        assertThat(neoX.has(WeightSlot.HEAD_BIAS)).isFalse();
        DecoderSpec other = spec(4, 2, true, false, true, true);
        assertThat(other.has(WeightSlot.FFN_NORM_BIAS)).isFalse();
        assertThat(other.has(WeightSlot.DENSE_BIAS)).isFalse();
        assertThat(other.has(WeightSlot.FC1_BIAS)).isTrue();
        assertThat(other.has(WeightSlot.HEAD_WEIGHT)).isFalse();
        assertThat(other.has(WeightSlot.HEAD_BIAS)).isTrue();
    }

    /** GPT-J 6B: 28 layers of 4096, one norm, biases in the feed-forward block and the head alone; 6,050,882,784. */
    @Test
    void parameterCount_ofGptJ_isThePublishedOne() {
        assertThat(PublishedSpecs.GPT_J_6B.parameterCount()).isEqualTo(6_050_882_784L);
    }

    @Test
    void tiedHead_isCountedOnce() {
        long untied = spec(4, 2, false, true, false, false).parameterCount();
        assertThat(spec(4, 2, false, true, false, true).parameterCount()).isEqualTo(untied - 50 * 12);
    }

    /** Dolly 3b in bfloat16: 32 layers x (K and V) x 2560 x 2 bytes = 320 KiB. */
    @Test
    void kvBytesPerToken_countKeysAndValuesOfAllLayers() {
        assertThat(PublishedSpecs.DOLLY_V2_3B.kvBytesPerToken(2)).isEqualTo(320 * 1024);
    }

    @Test
    void sizesThatContradictEachOther_areRefused() {
        assertThatThrownBy(() -> spec(4, 3, false, true, false, false))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("rotaryDims must be even and at most headSize = 4: 3");
        assertThatThrownBy(() -> spec(4, 6, false, true, false, false)).hasMessageContaining("rotaryDims");
        assertThatThrownBy(() -> spec(0, 0, false, true, false, false)).hasMessageContaining("hiddenSize");
        assertThatThrownBy(() -> new DecoderSpec(
                        1,
                        13,
                        3,
                        4,
                        8,
                        8,
                        8,
                        2,
                        10_000,
                        Activation.GELU_ERF,
                        1e-5,
                        true,
                        false,
                        true,
                        true,
                        false,
                        false))
                .hasMessageContaining("3 * 4 is not 13");
    }
}
