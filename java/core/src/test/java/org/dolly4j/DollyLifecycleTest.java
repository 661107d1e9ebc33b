package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.dolly4j.TinyDolly.CHECKPOINT;
import static org.dolly4j.TinyDolly.OTHER_CHECKPOINT;
import static org.dolly4j.TinyDolly.QUESTION;
import static org.dolly4j.TinyDolly.ask;
import static org.dolly4j.TinyDolly.copyCheckpoint;
import static org.dolly4j.TinyDolly.endless;
import static org.dolly4j.TinyDolly.options;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Closing, draining and reloading, with requests in flight. */
@Timeout(120)
class DollyLifecycleTest {
    @Test
    void close_endsRequestsInFlight_andLaterCallsSayClosed() throws Exception {
        Dolly other = Dolly.load(CHECKPOINT, options());
        CountDownLatch running = new CountDownLatch(1);
        CompletableFuture<GenerationResult> inFlight =
                CompletableFuture.supplyAsync(() -> other.generate(endless(), piece -> running.countDown()));
        running.await();
        Stream<TextPiece> waiting = other.stream(ask(5).build());
        other.close();
        other.close();
        assertThatThrownBy(inFlight::get)
                .isInstanceOf(ExecutionException.class)
                .cause()
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        assertThatThrownBy(waiting::toList)
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        assertThatThrownBy(() -> other.generate(QUESTION))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        assertThat(other.info().name()).isEqualTo("dolly-tiny-ends");
    }

    @Test
    void close_whileManyThreadsAsk_endsEachWithAnAnswerOrTheReason() throws Exception {
        for (int round = 0; round < 5; round++) {
            Dolly other = Dolly.load(CHECKPOINT, options());
            CountDownLatch firstAnswers = new CountDownLatch(4);
            List<CompletableFuture<Void>> asking = IntStream.range(0, 8)
                    .mapToObj(i -> CompletableFuture.runAsync(
                            () -> {
                                while (true) {
                                    other.generate(ask(6).sequences(1 + i % 3).build());
                                    firstAnswers.countDown();
                                }
                            },
                            task -> new Thread(task).start()))
                    .toList();
            firstAnswers.await();
            other.close();
            for (CompletableFuture<Void> one : asking) {
                assertThatThrownBy(one::get).cause().isInstanceOf(IllegalStateException.class);
            }
        }
    }

    @Test
    void loadAndClose_withoutAQuestion_isQuiet() {
        Dolly other = Dolly.load(CHECKPOINT, options());
        assertThatCode(other::close).doesNotThrowAnyException();
    }

    @Test
    void forgottenModel_isFreedOnceItIsGarbage_andWarnedOf(@TempDir Path folder) throws Exception {
        Path copy = Files.createDirectory(folder.resolve("forgotten"));
        copyCheckpoint(copy);
        PrintStream previous = System.err;
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
        try {
            loadAndForget(copy);
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (threadNames().contains("dolly4j-engine-forgotten") && System.nanoTime() < deadline) {
                System.gc();
                Thread.sleep(20);
            }
        } finally {
            System.setErr(previous);
        }
        assertThat(threadNames()).doesNotContain("dolly4j-engine-forgotten");
        assertThat(log.toString(StandardCharsets.UTF_8).lines())
                .filteredOn(line -> line.contains("A Dolly (forgotten) was not closed"))
                .singleElement()
                .asString()
                .contains("WARN", "MB of native memory");
    }

    private static void loadAndForget(Path folder) {
        Dolly forgotten = Dolly.load(folder, options());
        assertThat(threadNames()).contains("dolly4j-engine-forgotten");
        assertThat(forgotten.generate(ask(1).build()).completionTokens()).isEqualTo(1);
    }

    private static List<String> threadNames() {
        return Thread.getAllStackTraces().keySet().stream().map(Thread::getName).toList();
    }

    @Test
    void closeWithDrain_answersWhatWasAskedBefore_andTakesNothingMore() throws Exception {
        Dolly other = Dolly.load(CHECKPOINT, options());
        List<CompletableFuture<GenerationResult>> asked = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            asked.add(other.submit(ask(20).seed(i).build()));
        }
        CompletableFuture<Boolean> closing = CompletableFuture.supplyAsync(
                () -> other.close(Duration.ofSeconds(100)), task -> new Thread(task).start());
        while (true) {
            try {
                asked.add(other.submit(ask(20).build()));
            } catch (IllegalStateException e) {
                assertThat(e).hasMessageContaining("closed");
                break;
            }
        }
        assertThat(closing.get()).isTrue();
        for (CompletableFuture<GenerationResult> one : asked) {
            assertThat(one.get().completionTokens()).isPositive();
        }
        assertThat(threadNames()).doesNotContain("dolly4j-engine-dolly-tiny-ends");
    }

    @Test
    void closeWithDrain_endsWhatTakesLonger() {
        Dolly other = Dolly.load(CHECKPOINT, options());
        CompletableFuture<GenerationResult> inFlight = other.submit(endless());
        assertThat(other.close(Duration.ofMillis(20))).isFalse();
        assertThatThrownBy(inFlight::get)
                .isInstanceOf(ExecutionException.class)
                .cause()
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        assertThat(other.close(Duration.ofDays(100_000))).as("closed already").isFalse();
    }

    @Test
    void closeWithDrain_ofAnIdleModel_waitsForNothing() {
        Dolly other = Dolly.load(CHECKPOINT, options());
        assertThat(other.generate(ask(3).build()).completionTokens()).isPositive();
        assertThat(other.close(Duration.ZERO)).isTrue();
    }

    @Test
    void closeWithDrain_duringReload_takesNothingMore_andAnswersWhatBothWereAsked() throws Exception {
        Dolly other = Dolly.load(CHECKPOINT, options());
        List<CompletableFuture<GenerationResult>> asked = new ArrayList<>();
        asked.add(other.submit(endless()));
        CompletableFuture<Void> reloading =
                CompletableFuture.runAsync(() -> other.reload(OTHER_CHECKPOINT), task -> new Thread(task).start());
        while (other.info().name().equals("dolly-tiny-ends")) {
            Thread.sleep(1);
        }
        asked.add(other.submit(ask(20).build()));
        CompletableFuture<Boolean> closing = CompletableFuture.supplyAsync(
                () -> other.close(Duration.ofSeconds(100)), task -> new Thread(task).start());
        while (!closing.isDone()) {
            try {
                asked.add(other.submit(ask(20).build()));
            } catch (IllegalStateException e) {
                break;
            }
        }
        assertThat(closing.isDone())
                .as("refused while the last answers are written")
                .isFalse();
        assertThat(closing.get()).isTrue();
        reloading.get();
        for (CompletableFuture<GenerationResult> one : asked) {
            assertThat(one.get().completionTokens()).isPositive();
        }
    }

    @Test
    void reload_whileManyThreadsAsk_losesNoRequest_andEachHasTheAnswerOfOneCheckpoint() throws Exception {
        GenerationRequest request = ask(12).build();
        String first = answer(CHECKPOINT, request);
        String second = answer(OTHER_CHECKPOINT, request);
        assertThat(second).isNotEqualTo(first);
        try (Dolly other = Dolly.load(CHECKPOINT, options())) {
            CountDownLatch firstAnswers = new CountDownLatch(6);
            CountDownLatch reloaded = new CountDownLatch(1);
            List<CompletableFuture<Void>> asking = IntStream.range(0, 6)
                    .mapToObj(i -> CompletableFuture.runAsync(
                            () -> {
                                List<String> answers = new ArrayList<>();
                                boolean isLast;
                                do {
                                    isLast = reloaded.getCount() == 0;
                                    answers.add(other.generate(request).text());
                                    firstAnswers.countDown();
                                } while (!isLast);
                                assertThat(answers).containsOnly(first, second);
                                assertThat(answers.get(0)).isEqualTo(first);
                                assertThat(answers)
                                        .isSortedAccordingTo((a, b) -> a.equals(b) ? 0 : a.equals(first) ? -1 : 1);
                                assertThat(answers).endsWith(second);
                            },
                            task -> new Thread(task).start()))
                    .toList();
            firstAnswers.await();
            other.reload(OTHER_CHECKPOINT);
            assertThat(other.info().name()).isEqualTo("dolly-tiny-plain");
            assertThat(threadNames()).doesNotContain("dolly4j-engine-dolly-tiny-ends");
            reloaded.countDown();
            for (CompletableFuture<Void> one : asking) {
                one.get();
            }
        }
    }

    private static String answer(Path checkpoint, GenerationRequest request) {
        try (Dolly dolly = Dolly.load(checkpoint, options())) {
            return dolly.generate(request).text();
        }
    }

    @Test
    void reloadOfWhatCannotBeLoaded_leavesTheModelAsItIs(@TempDir Path folder) {
        try (Dolly other = Dolly.load(CHECKPOINT, options())) {
            assertThatThrownBy(() -> other.reload(folder)).isInstanceOf(CheckpointException.class);
            assertThat(other.info().name()).isEqualTo("dolly-tiny-ends");
            assertThat(other.generate(ask(3).build()).completionTokens()).isPositive();
        }
    }

    @Test
    void reloadAfterClose_isRefused() {
        Dolly other = Dolly.load(CHECKPOINT, options());
        other.close();
        assertThatThrownBy(() -> other.reload(OTHER_CHECKPOINT))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void closeDuringReload_closesBoth() throws Exception {
        Dolly other = Dolly.load(CHECKPOINT, options());
        CompletableFuture<GenerationResult> inFlight = other.submit(endless());
        CompletableFuture<Void> reloading =
                CompletableFuture.runAsync(() -> other.reload(OTHER_CHECKPOINT), task -> new Thread(task).start());
        while (other.info().name().equals("dolly-tiny-ends")) {
            Thread.sleep(1);
        }
        other.close();
        assertThatThrownBy(inFlight::get).cause().isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(reloading::get)
                .cause()
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
        assertThat(threadNames()).noneMatch(name -> name.startsWith("dolly4j-engine-dolly-tiny"));
    }

    @Test
    void modelsUnderLoad_shareTheThreads() throws Exception {
        try (Dolly one = Dolly.load(CHECKPOINT, options());
                Dolly other = Dolly.load(OTHER_CHECKPOINT, options())) {
            CompletableFuture<GenerationResult> first = one.submit(endless());
            CompletableFuture<GenerationResult> second = other.submit(endless());
            CompletableFuture.anyOf(first, second).get();
            long tokens = one.metrics().tokens().generatedTokens();
            long others = other.metrics().tokens().generatedTokens();
            assertThat(Math.min(tokens, others)).isGreaterThan(Math.max(tokens, others) / 8);
        }
    }

    private static void reload(Dolly dolly, int times) {
        for (int i = 0; i < times; i++) {
            dolly.reload(DemoQuestions.MODEL);
            dolly.generate(ask(4).build());
        }
    }

    /** A model has 7 MB of weights; the allocator's stock grows by some 30 MB in the first hundred reloads. */
    @Test
    void reloads_leaveNoMemoryBehind() throws Exception {
        DollyOptions options = DollyOptions.builder()
                .dtype(WeightType.INT8)
                .kvCacheTokens(2048)
                .build();
        try (Dolly dolly = Dolly.load(DemoQuestions.MODEL, options)) {
            int reloads = 60;
            reload(dolly, reloads);
            long before = NativeMemory.bytes();
            reload(dolly, reloads);
            assertThat((NativeMemory.bytes() - before) >> 20).isLessThan(reloads);
        }
    }
}
