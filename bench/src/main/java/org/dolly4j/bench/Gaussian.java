package org.dolly4j.bench;

import java.nio.ByteBuffer;
import java.util.Random;
import org.dolly4j.checkpoint.DType;

/**
 * Normally distributed elements. Each takes 16 bits of a hash of its index (SplitMix64, Steele et al. 2014) and looks
 * up one of 65,536 values drawn beforehand: one hash makes four elements, so this is faster than a disk.
 */
final class Gaussian implements TensorRule.Content {
    private static final int TABLE_SIZE = 1 << 16;
    private static final int ELEMENTS_PER_HASH = 4;

    /** Seed of the table; what differs between tensors is which of its values they take. */
    private static final long TABLE_SEED = 0;

    /**
     * Values to choose from, which tensors share.
     *
     * @param elementBytes bytes of one element
     * @param bits the elements' bits
     */
    record Table(int elementBytes, int[] bits) {
        /** @param dtype {@code FLOAT32} or {@code BFLOAT16} */
        static Table of(DType dtype, double mean, double deviation) {
            int[] bits = new int[TABLE_SIZE];
            Random random = new Random(TABLE_SEED);
            for (int i = 0; i < TABLE_SIZE; i += 2) {
                // In pairs around the mean, so that the mean is exact.
                double distance = deviation * random.nextGaussian();
                bits[i] = bits(dtype, mean + distance);
                bits[i + 1] = bits(dtype, mean - distance);
            }
            return new Table(dtype.bytes(), bits);
        }

        private static int bits(DType dtype, double value) {
            int float32 = Float.floatToRawIntBits((float) value);
            return dtype == DType.BFLOAT16 ? (float32 >>> 16) + ((float32 >>> 15) & 1) : float32;
        }
    }

    private final Table table;
    private final long seed;

    /** @param seed tensors of the same seed are equal */
    Gaussian(Table table, long seed) {
        this.table = table;
        this.seed = mix(seed);
    }

    @Override
    public void fill(ByteBuffer out, long firstElement) {
        int elementBytes = table.elementBytes;
        int[] bits = table.bits;
        long hashIndex = firstElement / ELEMENTS_PER_HASH;
        while (out.remaining() >= ELEMENTS_PER_HASH * elementBytes) {
            long hash = mix(seed + hashIndex++);
            int a = bits[(int) hash & 0xffff];
            int b = bits[(int) (hash >>> 16) & 0xffff];
            int c = bits[(int) (hash >>> 32) & 0xffff];
            int d = bits[(int) (hash >>> 48)];
            if (elementBytes == 2) {
                out.putLong(a | ((long) b << 16) | ((long) c << 32) | ((long) d << 48));
            } else {
                out.putLong((a & 0xffffffffL) | ((long) b << 32));
                out.putLong((c & 0xffffffffL) | ((long) d << 32));
            }
        }
        for (long hash = mix(seed + hashIndex); out.hasRemaining(); hash >>>= 16) {
            int last = bits[(int) hash & 0xffff];
            if (elementBytes == 2) {
                out.putShort((short) last);
            } else {
                out.putInt(last);
            }
        }
    }

    /** The finalizer of SplitMix64. */
    private static long mix(long z) {
        z += 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
