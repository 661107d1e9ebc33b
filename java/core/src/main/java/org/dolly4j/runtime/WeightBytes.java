package org.dolly4j.runtime;

import org.dolly4j.model.DecoderSpec;
import org.dolly4j.model.WeightSlot;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;

/**
 * Bytes of memory that the weights of a decoder take, to the byte what {@link DecoderModel#weightBytes()} says of one
 * that is loaded.
 *
 * @param embedding of the tokens
 * @param attention Q, K, V and output of all blocks, with biases
 * @param feedForward both matrices of all blocks, with biases
 * @param norms of all blocks and the last one
 * @param head with its bias; 0 where it is the embedding and can share its memory
 */
public record WeightBytes(long embedding, long attention, long feedForward, long norms, long head) {
    /** Outputs of a block of a packed matrix: as native/src/ops/packed_linear.h lays it out, like all that follows. */
    private static final int BLOCK_OUTPUTS = 16;

    /** What the inputs of a packed matrix are filled up to a multiple of, where they are numbers, and where integers. */
    private static final int TILE_INPUTS = 32;

    private static final int GROUP_PAIR_INPUTS = 128;

    /** Inputs of int4 that share a scale. */
    private static final int GROUP_INPUTS = 64;

    /** Of a decoder held in a type for a backend. */
    public static WeightBytes of(DecoderSpec spec, WeightType dtype, Backend backend) {
        return new WeightBytes(
                sum(spec, dtype, backend, WeightSlot.EMBEDDING),
                sum(
                        spec,
                        dtype,
                        backend,
                        WeightSlot.QKV_WEIGHT,
                        WeightSlot.QKV_BIAS,
                        WeightSlot.DENSE_WEIGHT,
                        WeightSlot.DENSE_BIAS),
                sum(
                        spec,
                        dtype,
                        backend,
                        WeightSlot.FC1_WEIGHT,
                        WeightSlot.FC1_BIAS,
                        WeightSlot.FC2_WEIGHT,
                        WeightSlot.FC2_BIAS),
                sum(
                        spec,
                        dtype,
                        backend,
                        WeightSlot.ATTENTION_NORM_WEIGHT,
                        WeightSlot.ATTENTION_NORM_BIAS,
                        WeightSlot.FFN_NORM_WEIGHT,
                        WeightSlot.FFN_NORM_BIAS,
                        WeightSlot.FINAL_NORM_WEIGHT,
                        WeightSlot.FINAL_NORM_BIAS),
                sum(spec, dtype, backend, WeightSlot.HEAD_WEIGHT, WeightSlot.HEAD_BIAS));
    }

    /** All of them. */
    public long total() {
        return embedding + attention + feedForward + norms + head;
    }

    private static long sum(DecoderSpec spec, WeightType dtype, Backend backend, WeightSlot... slots) {
        long bytes = 0;
        for (WeightSlot slot : slots) {
            // A head that is packed cannot share the embedding's memory.
            boolean packedTiedHead = slot == WeightSlot.HEAD_WEIGHT && backend == Backend.KERNELS;
            if (spec.has(slot) || packedTiedHead) {
                bytes += (slot.isPerLayer() ? spec.layers() : 1) * bytes(spec, dtype, backend, slot);
            }
        }
        return bytes;
    }

    private static long bytes(DecoderSpec spec, WeightType dtype, Backend backend, WeightSlot slot) {
        long rows = spec.rows(slot);
        int columns = spec.columns(slot);
        int plain = dtype == WeightType.FLOAT32 ? Float.BYTES : Short.BYTES;
        if (isNorm(slot) || (slot.isVector() && backend == Backend.KERNELS)) {
            return rows * Float.BYTES;
        }
        if (slot.isVector() || slot == WeightSlot.EMBEDDING || backend == Backend.LIBTORCH) {
            return rows * columns * plain;
        }
        long blocks = (rows + BLOCK_OUTPUTS - 1) / BLOCK_OUTPUTS;
        long numbers = BLOCK_OUTPUTS * filledUp(columns, dtype.isQuantised() ? GROUP_PAIR_INPUTS : TILE_INPUTS);
        return blocks
                * switch (dtype) {
                    case FLOAT32, BFLOAT16 -> numbers * plain;
                    case INT8 -> int8Bytes(numbers);
                    case INT4 ->
                        slot == WeightSlot.HEAD_WEIGHT
                                ? int8Bytes(numbers)
                                : numbers / 2 + numbers / GROUP_INPUTS * Short.BYTES;
                };
    }

    private static long int8Bytes(long numbers) {
        return numbers + BLOCK_OUTPUTS * Float.BYTES;
    }

    private static boolean isNorm(WeightSlot slot) {
        return switch (slot) {
            case ATTENTION_NORM_WEIGHT,
                    ATTENTION_NORM_BIAS,
                    FFN_NORM_WEIGHT,
                    FFN_NORM_BIAS,
                    FINAL_NORM_WEIGHT,
                    FINAL_NORM_BIAS -> true;
            default -> false;
        };
    }

    /** The next multiple. */
    static long filledUp(long number, int multiple) {
        return (number + multiple - 1) / multiple * multiple;
    }
}
