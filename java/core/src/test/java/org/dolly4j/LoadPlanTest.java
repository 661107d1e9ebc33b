package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.dolly4j.model.PublishedSpecs.DOLLY_V2_3B;

import java.util.Optional;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.runtime.AvailableMemory;
import org.dolly4j.runtime.MemoryPlan;
import org.dolly4j.runtime.MemoryPlan.Caching;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;

class LoadPlanTest {
    private static LoadPlan plan(DollyOptions options, DType stored, double gigabytes, double swap) {
        AvailableMemory available = new AvailableMemory((long) (gigabytes * 1e9), (long) (swap * 1e9), "a test");
        return LoadPlan.of(DOLLY_V2_3B, stored, options, available, held -> Caching.NONE);
    }

    /** bfloat16, of which the default KV cache would hold 3,264 tokens. */
    private static MemoryPlan plan(DollyOptions options, Caching caching, long bytes) {
        AvailableMemory available = new AvailableMemory(bytes, 0, "a test");
        return LoadPlan.of(DOLLY_V2_3B, DType.BFLOAT16, options, available, held -> caching)
                .chosenOrThrow(options);
    }

    private static Optional<WeightType> chosen(DollyOptions options, DType stored, double gigabytes) {
        return plan(options, stored, gigabytes, 0).chosen().map(plan -> plan.options()
                .dtype());
    }

    private static DollyOptions allowing(WeightType... types) {
        return DollyOptions.builder().allowedDtypes(types).build();
    }

    @Test
    void withoutChoice_theTypeOfTheFileFitsOrNone() {
        DollyOptions options = DollyOptions.defaults();
        assertThat(chosen(options, DType.BFLOAT16, 7)).hasValue(WeightType.BFLOAT16);
        assertThat(chosen(options, DType.FLOAT16, 7)).hasValue(WeightType.BFLOAT16);
        assertThat(chosen(options, DType.FLOAT32, 20)).hasValue(WeightType.FLOAT32);
        assertThat(chosen(options, DType.FLOAT32, 7)).isEmpty();
        assertThat(chosen(options, DType.BFLOAT16, 6)).isEmpty();
    }

    @Test
    void allowedTypes_areTriedFromThePreferredOneDownwards() {
        DollyOptions options = allowing(WeightType.INT4, WeightType.FLOAT32, WeightType.BFLOAT16, WeightType.INT8);
        assertThat(chosen(options, DType.BFLOAT16, 100)).hasValue(WeightType.BFLOAT16);
        assertThat(chosen(options, DType.FLOAT32, 100)).hasValue(WeightType.FLOAT32);
        assertThat(chosen(options, DType.FLOAT32, 7)).hasValue(WeightType.BFLOAT16);
        assertThat(chosen(options, DType.FLOAT32, 5)).hasValue(WeightType.INT8);
        assertThat(chosen(options, DType.BFLOAT16, 3.2)).hasValue(WeightType.INT4);
        assertThat(chosen(options, DType.BFLOAT16, 2)).isEmpty();
        assertThat(chosen(options.toBuilder().dtype(WeightType.INT8).build(), DType.BFLOAT16, 100))
                .hasValue(WeightType.INT8);
    }

    @Test
    void typesThatAreNotAllowed_areNotChosen() {
        assertThat(chosen(allowing(WeightType.BFLOAT16, WeightType.INT4), DType.BFLOAT16, 5))
                .hasValue(WeightType.INT4);
        assertThat(chosen(allowing(WeightType.INT8), DType.BFLOAT16, 100)).hasValue(WeightType.INT8);
        assertThat(chosen(allowing(WeightType.FLOAT32), DType.BFLOAT16, 100)).hasValue(WeightType.FLOAT32);
    }

    @Test
    void swap_isForTheSmallestWhereNoneFits() {
        DollyOptions options = allowing(WeightType.BFLOAT16, WeightType.INT8);
        assertThat(plan(options, DType.BFLOAT16, 5, 50).chosen())
                .hasValueSatisfying(plan -> assertThat(plan.options().dtype()).isEqualTo(WeightType.INT8));
        LoadPlan swapped = plan(options, DType.BFLOAT16, 3, 2);
        assertThat(swapped.chosen())
                .hasValueSatisfying(plan -> assertThat(plan.options().dtype()).isEqualTo(WeightType.INT8));
        assertThat(swapped.chosen().map(MemoryPlan::fits)).hasValue(false);
    }

    @Test
    void kvCacheOfNoStatedSize_holdsOneContextBeforeATypeIsGivenUp() {
        DollyOptions options = allowing(WeightType.BFLOAT16, WeightType.INT8);
        MemoryPlan full = plan(options, Caching.NONE, Long.MAX_VALUE);
        assertThat(full.kvCacheTokens()).isEqualTo(3264);
        assertThat(plan(options, Caching.NONE, full.totalBytes()).kvCacheTokens())
                .isEqualTo(3264);
        MemoryPlan less = plan(options, Caching.NONE, full.totalBytes() - 1);
        assertThat(less.kvCacheTokens()).isEqualTo(2048);
        assertThat(less.options().dtype()).isEqualTo(WeightType.BFLOAT16);
        assertThat(plan(options, Caching.NONE, less.totalBytes()).options().dtype())
                .isEqualTo(WeightType.BFLOAT16);
        assertThat(plan(options, Caching.NONE, less.totalBytes() - 1).options().dtype())
                .isEqualTo(WeightType.INT8);

        DollyOptions stated = DollyOptions.builder().kvCacheTokens(3264).build();
        assertThatThrownBy(() -> plan(stated, Caching.NONE, full.totalBytes() - 1))
                .isInstanceOf(MemoryShortageException.class);
    }

    @Test
    void weights_areNotWrittenToTheCache_whereThatIsAllThatDoesNotFit() {
        DollyOptions stated = DollyOptions.builder().kvCacheTokens(3264).build();
        MemoryPlan written = plan(stated, Caching.WRITTEN, Long.MAX_VALUE);
        assertThat(written.usesWeightCache()).isTrue();
        assertThat(plan(stated, Caching.WRITTEN, written.totalBytes()).usesWeightCache())
                .isTrue();
        assertThat(plan(stated, Caching.WRITTEN, written.totalBytes() - 1))
                .isEqualTo(plan(stated, Caching.NONE, written.totalBytes() - 1));
        assertThat(plan(DollyOptions.defaults(), Caching.WRITTEN, written.totalBytes() - 1)
                        .kvCacheTokens())
                .isEqualTo(3264);
        assertThat(plan(stated, Caching.FOUND, Long.MAX_VALUE).usesWeightCache())
                .isTrue();
    }

    @Test
    void typeOfLastResort_isOneThatTheBackendHolds() {
        DollyOptions options = DollyOptions.builder()
                .backend(Backend.LIBTORCH)
                .allowedDtypes(WeightType.FLOAT32, WeightType.INT8)
                .build();
        assertThat(chosen(options, DType.BFLOAT16, 100)).hasValue(WeightType.FLOAT32);
    }

    @Test
    void plans_areOfAllTypesThatTheBackendHolds() {
        assertThat(plan(DollyOptions.defaults(), DType.BFLOAT16, 1, 0).plans())
                .extracting(plan -> plan.options().dtype())
                .containsExactly(WeightType.values());
        assertThat(plan(DollyOptions.builder().backend(Backend.LIBTORCH).build(), DType.BFLOAT16, 1, 0)
                        .plans())
                .extracting(plan -> plan.options().dtype())
                .containsExactly(WeightType.FLOAT32, WeightType.BFLOAT16);
    }

    @Test
    void shortage_isSaidWithAllFiguresAndWhatToDo() {
        DollyOptions options = DollyOptions.defaults();
        assertThatThrownBy(() -> plan(options, DType.BFLOAT16, 5, 0).chosenOrThrow(options))
                .isInstanceOf(MemoryShortageException.class)
                .isInstanceOf(BackendException.class)
                .hasMessageContainingAll(
                        "bfloat16 takes 6.",
                        "weights 5.55 GB",
                        "KV cache of 2,048 tokens 671.1 MB",
                        "Available are 5.00 GB by a test",
                        "allow int8",
                        "kvCacheTokens",
                        "turn memoryCheck off, which still refuses weights and KV cache that do not fit");
        DollyOptions all = allowing(WeightType.BFLOAT16, WeightType.INT8, WeightType.INT4);
        assertThatThrownBy(() -> plan(all, DType.BFLOAT16, 1, 0).chosenOrThrow(all))
                .hasMessageContainingAll("bfloat16 takes", "int8 takes", "int4 takes");
    }

    @Test
    void check_canBeTurnedOff_byOptionAndByProperty() {
        DollyOptions options = DollyOptions.builder().memoryCheck(false).build();
        assertThat(chosen(options, DType.BFLOAT16, 1)).hasValue(WeightType.BFLOAT16);
        System.setProperty("dolly4j.memoryCheck", "false");
        try {
            assertThat(chosen(DollyOptions.defaults(), DType.BFLOAT16, 1)).hasValue(WeightType.BFLOAT16);
            assertThat(chosen(DollyOptions.builder().memoryCheck(true).build(), DType.BFLOAT16, 1))
                    .isEmpty();
        } finally {
            System.clearProperty("dolly4j.memoryCheck");
        }
    }

    @Test
    void contradictoryTypes_areRefused() {
        assertThatThrownBy(() -> DollyOptions.builder()
                        .dtype(WeightType.FLOAT32)
                        .allowedDtypes(WeightType.INT8)
                        .build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("allowedDtypes");
        assertThatThrownBy(() -> DollyOptions.builder()
                        .backend(Backend.LIBTORCH)
                        .allowedDtypes(WeightType.INT8)
                        .build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("libtorch");
    }

    @Test
    void modelThatDoesNotFit_isRefusedBeforeItIsLoaded() {
        DollyOptions options = TinyDolly.options().toBuilder()
                .kvCacheTokens(DollyOptions.MAX_KV_CACHE_TOKENS)
                .build();
        assertThatThrownBy(() -> Dolly.load(TinyDolly.CHECKPOINT, options))
                .isInstanceOf(MemoryShortageException.class)
                .hasMessageContaining("KV cache of 1,073,741,824 tokens");
    }

    @Test
    void deviceAuto_isTheCpuWhereThereIsNoOther() {
        DollyOptions options = TinyDolly.options().toBuilder()
                .device("auto")
                .dtype(WeightType.INT8)
                .build();
        assertThat(options.device()).isEqualTo("auto");
        assertThat(options.onCuda()).isEmpty();
        try (Dolly dolly = Dolly.load(TinyDolly.CHECKPOINT, options)) {
            assertThat(dolly.info().device()).isEqualTo("cpu");
            assertThat(dolly.info().backend()).isEqualTo(Backend.KERNELS);
            assertThat(dolly.info().dtype()).isEqualTo(WeightType.INT8);
        }
    }

    @Test
    void deviceAuto_mayBeCuda_unlessOnlyTheKernelsDoWhatIsAsked() {
        DollyOptions.Builder auto = DollyOptions.builder().device("auto");
        assertThat(auto.build().onCuda()).hasValueSatisfying(cuda -> {
            assertThat(cuda.device()).isEqualTo("cuda");
            assertThat(cuda.backend()).isEqualTo(Backend.LIBTORCH);
        });
        assertThat(auto.build().onCpu().backend()).isEqualTo(Backend.KERNELS);
        assertThat(auto.portableBits(true).build().onCuda()).isEmpty();
        assertThat(auto.portableBits(false).backend(Backend.KERNELS).build().onCuda())
                .isEmpty();
        assertThatThrownBy(() -> DollyOptions.builder().device("gpu").build()).hasMessageContaining("'gpu'");
    }
}
