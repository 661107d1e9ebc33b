package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dolly4j.HubException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Connections and servers that fail while bytes come: in the end the right bytes, or one sentence. */
@Timeout(30)
class HubFaultsTest extends HubFixture {
    /** Announces all of a range, and ends the connection within it. */
    private void cut(HttpExchange exchange, String name) throws IOException, InterruptedException {
        int[] range = range(exchange);
        exchange.getResponseHeaders().add("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHTS_BYTES);
        exchange.sendResponseHeaders(206, range[1] - range[0] + 1L);
        hub.write(exchange, name, range[0], range[0] + (range[1] - range[0]) / 2);
        throw new IOException("cut on purpose");
    }

    @Test
    void cutConnections_areTakenUpWhereTheyEnded() throws IOException {
        hub.storeFault = (exchange, name) -> {
            if (faults.incrementAndGet() % 2 == 1) {
                cut(exchange, name);
            }
            return false;
        };

        assertIsModel(download());

        assertThat(hub.sent(WEIGHTS)).as("nothing is sent twice").isEqualTo(WEIGHTS_BYTES);
    }

    @Test
    void connectionThatIsAlwaysCutAtOnce_endsTheDownload() {
        hub.storeFault = (exchange, name) -> {
            faults.incrementAndGet();
            throw new IOException("cut on purpose");
        };

        assertRefused().hasMessageContaining("org/model cannot be downloaded: 127.0.0.1 cannot be reached");

        assertThat(faults.get()).isBetween(Retries.MOST + 1, 4 * (Retries.MOST + 1) * 2);
        assertNoBlobOfTheWeights();
    }

    @Test
    void trickle_isGivenUpAndAskedForAgain() throws IOException {
        CountDownLatch end = new CountDownLatch(1);
        hub.storeFault = (exchange, name) -> {
            if (faults.getAndIncrement() > 0) {
                return false;
            }
            int[] range = range(exchange);
            exchange.getResponseHeaders()
                    .add("Content-Range", "bytes " + range[0] + "-" + range[1] + "/" + WEIGHTS_BYTES);
            exchange.sendResponseHeaders(206, range[1] - range[0] + 1L);
            for (int at = range[0]; at <= range[1] && !end.await(50, TimeUnit.MILLISECONDS); at++) {
                hub.write(exchange, name, at, at + 1);
            }
            return true;
        };

        assertIsModel(new Hub(options().patience(Duration.ofMillis(700)).build()).download(MODEL));
        end.countDown();
    }

    @Test
    void silence_endsTheDownload() {
        CountDownLatch end = new CountDownLatch(1);
        hub.storeFault = (exchange, name) -> end.await(25, TimeUnit.SECONDS);
        Hub impatient = new Hub(options().patience(Duration.ofMillis(300)).build());

        assertThatThrownBy(() -> impatient.download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("no answer within 0.3 seconds");
        end.countDown();
    }

    @Test
    void silenceWithinTheList_endsTheDownload() {
        CountDownLatch end = new CountDownLatch(1);
        hub.hubFault = (exchange, name) -> {
            exchange.sendResponseHeaders(200, 100);
            exchange.getResponseBody().flush();
            return end.await(25, TimeUnit.SECONDS);
        };
        Hub impatient = new Hub(options().patience(Duration.ofMillis(300)).build());

        assertThatThrownBy(() -> impatient.download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("nothing came for 0.3 seconds");
        end.countDown();
    }

    @Test
    void serverThatIgnoresRanges_sendsTheWhole() throws IOException {
        hub.storeFault = (exchange, name) -> {
            hub.sendWhole(exchange, name);
            return true;
        };
        assertIsModel(download());
    }

    @Test
    void serverThatIgnoresRangesAndBreaksOff_sendsTheWholeAgain() throws IOException {
        hub.storeFault = (exchange, name) -> {
            boolean whole = !exchange.getRequestHeaders().containsKey("Range");
            if (whole && faults.getAndIncrement() == 0) {
                exchange.sendResponseHeaders(200, WEIGHTS_BYTES);
                hub.write(exchange, name, 0, WEIGHTS_BYTES / 2);
                throw new IOException("cut on purpose");
            }
            hub.sendWhole(exchange, name);
            return true;
        };
        assertIsModel(download());
        assertThat(faults.get()).isEqualTo(2);
    }

    @Test
    void serverThatAnswersAnotherRange_isAskedForTheWhole() throws IOException {
        hub.storeFault = (exchange, name) -> {
            if (exchange.getRequestHeaders().containsKey("Range")) {
                int[] range = range(exchange);
                hub.sendRange(exchange, name, range[0] + 1, Math.min(range[1] + 1, WEIGHTS_BYTES - 1));
                return true;
            }
            return false;
        };
        assertIsModel(download());
    }

    @Test
    void serverThatSaysTheRangeIsNone_isAskedForTheWhole() throws IOException {
        hub.storeFault = (exchange, name) ->
                exchange.getRequestHeaders().containsKey("Range") && status(416).answer(exchange, name);
        assertIsModel(download());
    }

    @Test
    void corruptBytes_areBroughtOnceMore() throws IOException {
        hub.storeFault = (exchange, name) -> faults.getAndIncrement() == 0 && corrupted(exchange);
        assertIsModel(download());
    }

    @Test
    void damagedLeftover_isDownloadedAnew() throws IOException {
        hub.storeFault = (exchange, name) -> {
            if (faults.incrementAndGet() > 6) {
                throw new IOException("cut on purpose");
            }
            return false;
        };
        assertRefused();
        Path partial = PartialBlob.bytesFile(
                repositoryFolder().resolve("blobs").resolve(LoopbackHub.etag(hub.bytes(WEIGHTS))));
        byte[] left = Files.readAllBytes(partial);
        for (int at = 0; at < left.length; at += 1000) {
            left[at] ^= 1;
        }
        Files.write(partial, left);
        hub.storeFault = (exchange, name) -> false;

        assertIsModel(download());
    }

    @Test
    void leftoverOfAFileWithoutAHash_isDownloadedAnew() throws IOException {
        hub.hubFault = (exchange, name) -> name.equals(WEIGHTS)
                && status(
                                302,
                                "X-Repo-Commit",
                                hub.commit,
                                "X-Linked-Etag",
                                "no-hash",
                                "X-Linked-Size",
                                Integer.toString(WEIGHTS_BYTES),
                                "Location",
                                hub.storeAddress() + "/stored/" + name)
                        .answer(exchange, name);
        Path blob = repositoryFolder().resolve("blobs").resolve("no-hash");
        try (PartialBlob partial = PartialBlob.open(blob, WEIGHTS_BYTES, PART_BYTES)) {
            partial.add(0, ByteBuffer.allocate(PART_BYTES));
        }

        assertIsModel(download());

        assertThat(hub.sent(WEIGHTS)).isEqualTo(WEIGHTS_BYTES);
    }

    @Test
    void fileOfAnotherSizeThanStated_isRefused() {
        hub.hubFault = (exchange, name) -> {
            if (name.equals("tokenizer.json") && exchange.getRequestMethod().equals("GET")) {
                LoopbackHub.sendText(exchange, 200, "{}");
                return true;
            }
            return false;
        };
        assertRefused().hasMessageContaining("sends 2 bytes of tokenizer.json (status 200) where the hub states 17");
    }

    @Test
    void portalInPlaceOfTheHub_leavesWhatIsInTheCache() {
        Path before = download();
        hub.hubFault = (exchange, name) -> {
            LoopbackHub.sendText(exchange, 200, "<html>Accept our terms</html>");
            return true;
        };
        assertThat(download()).isEqualTo(before);
    }

    @Test
    void portalForFilesAlone_leavesWhatIsInTheCache() {
        Path before = download();
        hub.commit = "c".repeat(40);
        hub.hubFault = (exchange, name) -> {
            boolean file = exchange.getRequestURI().getPath().contains("/resolve/");
            return file && status(200).answer(exchange, name);
        };
        assertThat(download()).isEqualTo(before);
    }

    @Test
    void updateThatTheDiskHasNoRoomFor_leavesWhatIsInTheCache() {
        Path before = download();
        hub.commit = "c".repeat(40);
        hub.hubFault = (exchange, name) -> name.equals(WEIGHTS)
                && status(
                                302,
                                "X-Repo-Commit",
                                hub.commit,
                                "X-Linked-Etag",
                                "f".repeat(64),
                                "X-Linked-Size",
                                "900000000000000000",
                                "Location",
                                hub.storeAddress() + "/stored/" + name)
                        .answer(exchange, name);
        assertThat(download()).isEqualTo(before);
    }

    @Test
    void cacheThatCannotBeWritten_isReadAllTheSame() throws IOException {
        Path before = download();
        hub.commit = "c".repeat(40);
        hub.file("generation_config.json", "{\"top_k\":5}");
        // Not by permissions, which do not hold for root.
        Path locks = cache.resolve(".locks");
        Files.move(locks, cache.resolve("moved"));
        Files.writeString(locks, "");

        assertThat(download()).isEqualTo(before);
    }

    @Test
    void cacheThatCannotBeWritten_isSaid() throws IOException {
        Path file = Files.writeString(cache.resolve("file"), "");
        assertThatThrownBy(() -> new Hub(options().cacheDirectory(file).build()).download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("HF_HUB_CACHE");
    }
}
