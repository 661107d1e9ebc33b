package org.dolly4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.Test;

class WarningLimitTest {
    private static final long SECOND = 1_000_000_000;

    @Test
    void firstWarningPasses_thenOneAnIntervalWithTheNumberOfThoseHeldBack() {
        WarningLimit limit = new WarningLimit(Duration.ofMinutes(1));
        long begin = -30 * SECOND;
        assertThat(limit.count(begin)).isEqualTo(1);
        assertThat(limit.count(begin + 1)).isZero();
        assertThat(limit.count(begin + 59 * SECOND)).isZero();
        assertThat(limit.count(begin + 60 * SECOND)).isEqualTo(3);
        assertThat(limit.count(begin + 61 * SECOND)).isZero();
        assertThat(limit.count(begin + 1000 * SECOND)).isEqualTo(2);
    }
}
