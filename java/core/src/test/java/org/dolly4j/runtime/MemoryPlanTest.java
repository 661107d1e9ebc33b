package org.dolly4j.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.dolly4j.model.PublishedSpecs.DOLLY_V2_3B;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.model.Activation;
import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.MemoryPlan.Caching;
import org.dolly4j.runtime.MemoryPlan.SessionSize;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.KvCacheType;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class MemoryPlanTest {
    private static final Path GOLDENS =
            Path.of(System.getProperty("dolly4j.test.checkpoints", "src/test/resources/goldens/models/checkpoints"));

    /** The shape of dolly-v2-3b. */
    private static final SessionSize SIZE = new SessionSize(204, 256, 64);

    private static MemoryPlan plan(WeightType type, Caching caching, long available, long swap) {
        return MemoryPlan.of(
                DOLLY_V2_3B,
                new ModelOptions(type, Backend.KERNELS, "cpu", 2, false),
                SIZE,
                caching,
                new AvailableMemory(available, swap, "a test"));
    }

    private static void assertExact(WeightPlan weights, ModelOptions options) {
        try (DecoderModel model = DecoderModel.load(weights.spec(), weights.rows(), options)) {
            MemoryPlan plan = MemoryPlan.of(
                    weights.spec(), options, new SessionSize(3, 8, 8), Caching.NONE, AvailableMemory.now());
            assertThat(plan.weights().total()).as("weights, %s", options).isEqualTo(model.weightBytes());
            assertThat(plan.kvCacheBytes()).as("KV cache, %s", options).isEqualTo(3 * model.blockBytes());
        }
    }

    static List<Path> goldens() throws IOException {
        try (Stream<Path> folders = Files.list(GOLDENS)) {
            return folders.sorted().toList();
        }
    }

    /** One of them has GPT-J's biases and shared norm, one heads of 80 and one odd sizes. */
    @ParameterizedTest
    @MethodSource("goldens")
    void weightsAndCache_areWhatTheNativeSideTakes(Path golden) {
        WeightPlan weights = Family.planFor(Checkpoint.open(golden));
        for (WeightType type : WeightType.values()) {
            for (KvCacheType kvCache : KvCacheType.values()) {
                assertExact(weights, new ModelOptions(type, kvCache, Backend.KERNELS, "cpu", 2, false));
            }
        }
    }

    /** Heads of 12, and no size that is a multiple of what packed matrices are filled up to. */
    @Test
    void unevenSizes_areFilledUpAsTheNativeSideDoes(@TempDir Path folder) {
        WeightPlan weights = new WeightPlan(TinyModel.SPEC, new TinyModel(folder).rows(), List.of());
        for (WeightType type : WeightType.values()) {
            assertExact(weights, new ModelOptions(type, Backend.KERNELS, "cpu", 1, false));
        }
    }

    @Test
    void libtorch_takesWhatTheNativeSideTakes(@TempDir Path folder) {
        WeightPlan weights = new WeightPlan(TinyModel.SPEC, new TinyModel(folder, Backend.LIBTORCH).rows(), List.of());
        assertExact(weights, new ModelOptions(WeightType.FLOAT32, Backend.LIBTORCH, "cpu", 1, false));
        assertExact(weights, new ModelOptions(WeightType.BFLOAT16, Backend.LIBTORCH, "cpu", 1, false));
    }

    /** A packed head is apart from the embedding; libtorch's is not. */
    @Test
    void tiedHead_takesMemoryOnlyWherePacked() {
        DecoderSpec tied = new DecoderSpec(
                2, 24, 2, 12, 40, 50, 128, 4, 10_000, Activation.GELU_ERF, 1e-5, true, false, true, true, false, true);
        assertThat(WeightBytes.of(tied, WeightType.BFLOAT16, Backend.KERNELS).head())
                .isEqualTo(4 * 16 * 32 * 2);
        assertThat(WeightBytes.of(tied, WeightType.BFLOAT16, Backend.LIBTORCH).head())
                .isZero();
    }

    private static long megabytes(long bytes) {
        return Math.round(bytes / 1e6);
    }

    /** As bench/RESULTS.md has measured them, in MB. */
    @Test
    void dolly3b_takesWhatWasMeasured() {
        assertThat(megabytes(
                        plan(WeightType.BFLOAT16, Caching.NONE, 0, 0).weights().total()))
                .isEqualTo(5552);
        assertThat(megabytes(plan(WeightType.INT8, Caching.NONE, 0, 0).weights().total()))
                .isEqualTo(2910);
        assertThat(megabytes(plan(WeightType.INT4, Caching.NONE, 0, 0).weights().total()))
                .isEqualTo(1728);
        assertThat(megabytes(plan(WeightType.BFLOAT16, Caching.NONE, 0, 0).kvCacheBytes()))
                .isEqualTo(1070);
    }

    @ParameterizedTest
    @EnumSource(WeightType.class)
    void plan_fitsExactlyFromItsTotalOn(WeightType type) {
        long total = plan(type, Caching.NONE, 0, 0).totalBytes();
        assertThat(plan(type, Caching.NONE, total, 0).fits()).isTrue();
        assertThat(plan(type, Caching.NONE, total - 1, 0).fits()).isFalse();
        assertThat(plan(type, Caching.NONE, total - 1, 0).canBeLoaded()).isFalse();
        assertThat(plan(type, Caching.NONE, total - 1, 1).canBeLoaded()).isTrue();
        assertThat(plan(type, Caching.NONE, Long.MAX_VALUE, 5).canBeLoaded()).isTrue();
    }

    @Test
    void cachedWeights_needNotFit_andWritingThemTakesMore() {
        MemoryPlan found = plan(WeightType.INT8, Caching.FOUND, 2_000_000_000, 0);
        assertThat(found.fits()).isFalse();
        assertThat(found.canBeLoaded()).isTrue();
        assertThat(plan(WeightType.INT8, Caching.NONE, 2_000_000_000, 0).canBeLoaded())
                .isFalse();
        assertThat(plan(WeightType.INT8, Caching.WRITTEN, 0, 0).totalBytes()).isGreaterThan(found.totalBytes());
        assertThat(found.figures()).startsWith("int8 takes 4.").contains("from the cache", "KV cache of 3,264 tokens");
    }

    @Test
    void cudaDevice_holdsTheCache() {
        MemoryPlan plan = MemoryPlan.of(
                DOLLY_V2_3B,
                new ModelOptions(WeightType.BFLOAT16, Backend.LIBTORCH, "cuda", 2, false),
                SIZE,
                Caching.NONE,
                AvailableMemory.now());
        assertThat(plan.totalBytes()).isEqualTo(plan.weights().total() + plan.workspaceBytes() + plan.processBytes());
        assertThat(plan.figures()).contains("on the device");
    }
}
