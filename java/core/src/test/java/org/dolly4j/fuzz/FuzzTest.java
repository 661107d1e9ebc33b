package org.dolly4j.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Hostile files: whatever the bytes of a file of a model folder are, they are read or refused by a {@link
 * org.dolly4j.CheckpointException}, in little time and memory, and nothing else happens (Jazzer also reports files and
 * hosts that an input names and the code asks for, and classes that it loads). For {@code -Ddolly4j.fuzz.seconds} of
 * each target.
 */
class FuzzTest {
    /** Targets, and the most bytes of their inputs. */
    static final Map<Class<?>, Integer> TARGETS = new TreeMap<>(Comparator.comparing(Class::getSimpleName));

    static {
        TARGETS.putAll(Map.of(
                ConfigTarget.class, 4 << 10,
                IndexTarget.class, 8 << 10,
                PickleTarget.class, 4 << 10,
                SafetensorsTarget.class, 8 << 10,
                TokenizerTarget.class, 8 << 10,
                TorchFileTarget.class, 8 << 10,
                VocabularyTarget.class, 8 << 10));
    }

    @Test
    void noInputDoesMoreThanBeRefused(@TempDir Path folder) throws Exception {
        int seconds = Integer.getInteger("dolly4j.fuzz.seconds", 5);
        ExecutorService threads =
                Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors());
        try {
            List<Future<Fuzzing.Outcome>> running = new ArrayList<>();
            TARGETS.forEach((target, maxBytes) ->
                    running.add(threads.submit(() -> new Fuzzing(target, maxBytes, folder).run(seconds))));
            for (Future<Fuzzing.Outcome> one : running) {
                Fuzzing.Outcome outcome = one.get();
                System.out.println(outcome);
                assertThat(outcome.failed()).as(outcome.output()).isFalse();
                assertThat(outcome.executions()).isGreaterThan(outcome.inputs());
                assertThat(outcome.coverage()).isGreaterThan(100);
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
