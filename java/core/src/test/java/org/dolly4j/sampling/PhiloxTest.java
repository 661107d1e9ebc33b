package org.dolly4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PhiloxTest {
    /** The lines "philox4x32 10" of kat_vectors in the authors' library Random123: counter, key, result. */
    @ParameterizedTest
    @CsvSource({
        "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e a20bc7c6 6d5451fd",
        "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb 5001e420 24126ea1"
    })
    void generate_givesThePublishedAnswers(String counter, String key, String result) {
        int[] c = words(counter);
        int[] k = words(key);
        Philox random = new Philox();

        random.generate(c[0], c[1], c[2], c[3], k[0], k[1]);

        assertThat(random.words()).containsExactly(words(result));
    }

    @Test
    void uniform_isTheFirst53BitsOfTheBlock() {
        long bits = (0x6627e8d5L >>> 5 << 26) + (0xe169c58dL >>> 6);

        assertThat(new Philox().uniform(0, 0)).isEqualTo(bits / (double) (1L << 53));
    }

    @Test
    void uniform_dependsOnEveryBitOfSeedAndPosition() {
        Philox random = new Philox();
        Set<Double> numbers = new HashSet<>();
        numbers.add(random.uniform(0, 0));
        for (int bit = 0; bit < Long.SIZE; bit++) {
            numbers.add(random.uniform(1L << bit, 0));
        }
        for (int bit = 0; bit < Integer.SIZE - 1; bit++) {
            numbers.add(random.uniform(0, 1 << bit));
        }

        assertThat(numbers).hasSize(1 + Long.SIZE + Integer.SIZE - 1);
    }

    private static int[] words(String hex) {
        return Arrays.stream(hex.split(" "))
                .mapToInt(word -> Integer.parseUnsignedInt(word, 16))
                .toArray();
    }
}
