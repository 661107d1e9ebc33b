package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

class FloatConversionTest {
    private static float half(int bits) {
        return FloatConversion.fromFloat16((short) bits);
    }

    private static int toHalf(float value) {
        return FloatConversion.toFloat16(value) & 0xffff;
    }

    private static int toBFloat16(float value) {
        return FloatConversion.toBFloat16(value) & 0xffff;
    }

    @Test
    void float16_hasTheValueOfItsDefinition() {
        for (int bits = 0; bits < 0x7c00; bits++) {
            int exponent = bits >>> 10;
            double fraction = (bits & 0x3ff) / 1024.0;
            double value = exponent == 0 ? fraction * 0x1p-14 : (1 + fraction) * Math.pow(2, exponent - 15);
            assertThat(half(bits)).isEqualTo((float) value);
            assertThat(half(bits | 0x8000)).isEqualTo((float) -value);
        }
        assertThat(half(0x7c00)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(half(0xfc00)).isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(half(0x7c01)).isNaN();
    }

    @Test
    void float16_isTheNearest_ofTwoTheEvenOne() {
        for (int bits = 0; bits < 0x7bff; bits++) {
            float low = half(bits);
            float middle = (low + half(bits + 1)) / 2; // exact in float32
            assertThat(toHalf(low)).isEqualTo(bits);
            assertThat(toHalf(-low)).isEqualTo(bits | 0x8000);
            assertThat(toHalf(Math.nextDown(middle))).isEqualTo(bits);
            assertThat(toHalf(middle)).isEqualTo(bits + (bits & 1));
            assertThat(toHalf(Math.nextUp(middle))).isEqualTo(bits + 1);
        }
    }

    @Test
    void float16_overflowsToInfinity_andKeepsNaN() {
        assertThat(toHalf(65_504)).isEqualTo(0x7bff);
        assertThat(toHalf(Math.nextDown(65_520f))).isEqualTo(0x7bff);
        assertThat(toHalf(65_520)).isEqualTo(0x7c00);
        assertThat(toHalf(-Float.MAX_VALUE)).isEqualTo(0xfc00);
        assertThat(toHalf(Float.POSITIVE_INFINITY)).isEqualTo(0x7c00);
        assertThat(half(toHalf(Float.intBitsToFloat(0xff800001)))).isNaN();
        assertThat(toHalf(Float.MIN_VALUE)).isZero();
    }

    @Test
    void bfloat16_isTheNearest_ofTwoTheEvenOne() {
        for (int bits = 0; bits < 0x7f80; bits++) {
            assertThat(toBFloat16(Float.intBitsToFloat(bits << 16))).isEqualTo(bits);
            assertThat(toBFloat16(Float.intBitsToFloat(bits << 16 | 0x7fff))).isEqualTo(bits);
            assertThat(toBFloat16(Float.intBitsToFloat(bits << 16 | 0x8000))).isEqualTo(bits + (bits & 1));
            assertThat(toBFloat16(Float.intBitsToFloat(bits << 16 | 0x8001))).isEqualTo(bits + 1);
        }
        assertThat(toBFloat16(Float.MAX_VALUE)).isEqualTo(0x7f80);
        assertThat(toBFloat16(Float.NEGATIVE_INFINITY)).isEqualTo(0xff80);
        assertThat(FloatConversion.fromBFloat16(FloatConversion.toBFloat16(Float.intBitsToFloat(0x7f800001))))
                .isNaN();
    }

    @Test
    void float64_goesByWayOfFloat32() {
        ByteBuffer from = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        from.putDouble(1 + 0x1p-8 + 0x1p-40).putDouble(1e300).flip();
        ByteBuffer to = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
        FloatConversion.convert(from, DType.FLOAT64, to, DType.BFLOAT16);
        // The excess of 2^-40 is lost in float32, and then 1 is as near as the next number, and even.
        assertThat(to.getShort(0)).isEqualTo((short) 0x3f80);
        assertThat(to.getShort(2)).isEqualTo((short) 0x7f80);
    }
}
