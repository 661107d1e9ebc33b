package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A cache that several threads and processes fill, also ones that are killed. */
@Timeout(120)
class SharedCacheTest extends HubFixture {
    private static final int CONNECTIONS = 4;

    /** Downloads in a process of its own: endpoint, cache. */
    static final class Download {
        public static void main(String[] arguments) {
            HubOptions options = HubOptions.builder(new HubEnvironment(Map.of(), Path.of("/no-home")))
                    .endpoint(URI.create(arguments[0]))
                    .cacheDirectory(Path.of(arguments[1]))
                    .firstWait(Duration.ofMillis(50))
                    .partBytes(PART_BYTES)
                    .connections(CONNECTIONS)
                    .build();
            System.out.println(new Hub(options).download(MODEL));
        }
    }

    private Process start() throws IOException {
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        ProcessBuilder builder = new ProcessBuilder(
                java.toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Download.class.getName(),
                hub.endpoint().toString(),
                cache.toString());
        return builder.redirectErrorStream(true).start();
    }

    private void await(long bytes, Process process) throws InterruptedException {
        while (hub.sent(WEIGHTS) < bytes && process.isAlive()) {
            Thread.sleep(2);
        }
    }

    @Test
    void downloadKilledFiveTimes_endsWithTheRightBytes() throws Exception {
        int size = 128 * PART_BYTES + 77;
        hub.file(WEIGHTS, random(size, 9));
        hub.pause = Duration.ofMillis(4);
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int kill = 0; kill < 5; kill++) {
            Process process = start();
            // At least so much that some parts are complete, at most so much that five times are not all.
            await(hub.sent(WEIGHTS) + 6 * PART_BYTES + random.nextInt(size / 16), process);
            assertThat(process.isAlive()).as("seed %d", seed).isTrue();
            process.destroyForcibly();
            assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        }
        hub.pause = Duration.ZERO;
        Process last = start();
        await(size, last); // about when all has come, and is being checked and moved to its place
        last.destroyForcibly();
        assertThat(last.waitFor(20, TimeUnit.SECONDS)).isTrue();

        assertIsModel(download());

        assertThat(hub.sent(WEIGHTS))
                .as("no more than the parts that were on their way are sent again (seed %d)", seed)
                .isLessThanOrEqualTo(size + 6L * CONNECTIONS * PART_BYTES);
    }

    @Test
    void twoProcessesAtOnce_downloadEachByteOnce() throws Exception {
        hub.pause = Duration.ofMillis(2);
        List<Process> processes = List.of(start(), start());
        for (Process process : processes) {
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor()).as(output).isZero();
            assertIsModel(Path.of(output.strip()));
        }
        assertThat(hub.sent(WEIGHTS)).isEqualTo(WEIGHTS_BYTES);
        assertThat(hub.sent("tokenizer.json")).isEqualTo(hub.bytes("tokenizer.json").length);
    }

    @Test
    void threadsAtOnce_downloadEachByteOnce() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<Future<Path>> downloads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                downloads.add(threads.submit(this::download));
            }
            for (Future<Path> download : downloads) {
                assertIsModel(download.get());
            }
        } finally {
            threads.shutdownNow();
        }
        assertThat(hub.sent(WEIGHTS)).isEqualTo(WEIGHTS_BYTES);
    }

    @Test
    void waiting_isReported() throws Exception {
        String etag = LoopbackHub.etag(hub.bytes("tokenizer.json"));
        Path lockFile = cache.resolve(".locks/models--org--model/" + etag + ".lock");
        BlobLock lock = BlobLock.acquire(lockFile, () -> {});
        CountDownLatch waits = new CountDownLatch(1);
        Hub second = new Hub(options()
                .progress(step -> {
                    if (step.phase() == DownloadProgress.Phase.WAITING) {
                        waits.countDown();
                    }
                })
                .build());
        ExecutorService threads = Executors.newSingleThreadExecutor();
        try {
            Future<Path> download = threads.submit(() -> second.download(MODEL));
            assertThat(waits.await(60, TimeUnit.SECONDS)).isTrue();
            lock.close();
            assertIsModel(download.get());
        } finally {
            threads.shutdownNow();
        }
    }
}
