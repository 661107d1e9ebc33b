package org.dolly4j.checkpoint;

import java.nio.ByteBuffer;
import org.dolly4j.CheckpointException;

/**
 * Converts floating-point numbers between the types of weights, as PyTorch's {@code tensor.to(dtype)} does: to the
 * nearest, of two equally near to the even one; what is too large becomes infinite; subnormal numbers are kept; float64
 * goes by way of float32. NaN stays NaN with its sign, now quiet; its other bits, which in PyTorch depend on the length
 * of the tensor, are those that fit.
 */
final class FloatConversion {
    private static final int FLOAT32_INFINITY = 0x7f800000;
    private static final int FLOAT16_INFINITY = 0x7c00;

    /** How much larger the exponent of the same number is in float32, where it stands. */
    private static final int EXPONENT_SHIFT = (127 - 15) << 23;

    private FloatConversion() {}

    /**
     * Converts all numbers of a buffer.
     *
     * @param from little-endian, read from its position to its limit
     * @param to little-endian, written from its position on
     * @param type floating-point, any but FLOAT64
     */
    static void convert(ByteBuffer from, DType fromType, ByteBuffer to, DType type) {
        switch (fromType) {
            case FLOAT32 -> {
                while (from.hasRemaining()) {
                    put(from.getFloat(), to, type);
                }
            }
            case FLOAT16 -> {
                while (from.hasRemaining()) {
                    put(fromFloat16(from.getShort()), to, type);
                }
            }
            case BFLOAT16 -> {
                while (from.hasRemaining()) {
                    put(fromBFloat16(from.getShort()), to, type);
                }
            }
            case FLOAT64 -> {
                while (from.hasRemaining()) {
                    put((float) from.getDouble(), to, type);
                }
            }
            case INT64, INT32, INT16, INT8, UINT8, BOOL -> throw notWeights(fromType);
        }
    }

    private static void put(float value, ByteBuffer to, DType type) {
        switch (type) {
            case FLOAT32 -> to.putFloat(value);
            case FLOAT16 -> to.putShort(toFloat16(value));
            case BFLOAT16 -> to.putShort(toBFloat16(value));
            case FLOAT64, INT64, INT32, INT16, INT8, UINT8, BOOL -> throw notWeights(type);
        }
    }

    private static CheckpointException notWeights(DType type) {
        return new CheckpointException(type + " is no type of weights; expected one of " + DType.FLOAT32 + ", "
                + DType.FLOAT16 + ", " + DType.BFLOAT16);
    }

    static float fromBFloat16(short value) {
        return Float.intBitsToFloat(value << Short.SIZE);
    }

    static short toBFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> Short.SIZE) | 0x40);
        }
        return (short) ((bits + 0x7fff + ((bits >>> Short.SIZE) & 1)) >>> Short.SIZE);
    }

    static float fromFloat16(short value) {
        int sign = (value & 0x8000) << Short.SIZE;
        int magnitude = value & 0x7fff;
        int bits;
        if (magnitude > FLOAT16_INFINITY) {
            bits = FLOAT32_INFINITY | 0x400000 | ((magnitude & 0x3ff) << 13);
        } else if (magnitude == FLOAT16_INFINITY) {
            bits = FLOAT32_INFINITY;
        } else if (magnitude < 0x400) {
            bits = Float.floatToRawIntBits(magnitude * 0x1p-24f);
        } else {
            bits = (magnitude << 13) + EXPONENT_SHIFT;
        }
        return Float.intBitsToFloat(sign | bits);
    }

    static short toFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = (bits >>> Short.SIZE) & 0x8000;
        int magnitude = bits & Integer.MAX_VALUE;
        int half;
        if (magnitude > FLOAT32_INFINITY) {
            half = FLOAT16_INFINITY | 0x200 | ((magnitude >>> 13) & 0x3ff);
        } else if (magnitude >= Float.floatToRawIntBits(65_520)) { // half way from the largest number to the next
            half = FLOAT16_INFINITY;
        } else if (magnitude < Float.floatToRawIntBits(0x1p-14f)) {
            // From 0.5 to 1 neighbours in float32 lie as far apart as subnormal ones in float16: the sum rounds.
            float sum = Float.intBitsToFloat(magnitude) + 0.5f;
            half = Float.floatToRawIntBits(sum) - Float.floatToRawIntBits(0.5f);
        } else {
            half = (magnitude - EXPONENT_SHIFT + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
        }
        return (short) (sign | half);
    }
}
