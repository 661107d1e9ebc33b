package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.dolly4j.HubException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Headers of weights, brought without the weights. */
@Timeout(30)
class HeaderDownloadTest extends HubFixture {
    private static final int DATA = 1 << 20;

    /** A file of weights with a header of so many bytes, filled up with blanks. */
    private static byte[] weights(int headerBytes, byte data) {
        String tensor =
                "{\"w\": {\"dtype\": \"F32\", \"shape\": [" + DATA / 4 + "], \"data_offsets\": [0, " + DATA + "]}}";
        byte[] header = (tensor + " ".repeat(headerBytes - tensor.length())).getBytes(StandardCharsets.US_ASCII);
        ByteBuffer file = ByteBuffer.allocate(Long.BYTES + headerBytes + DATA).order(ByteOrder.LITTLE_ENDIAN);
        file.putLong(headerBytes).put(header);
        while (file.hasRemaining()) {
            file.put(data);
        }
        return file.array();
    }

    private Optional<HeaderFolder> headers() {
        return new Hub(options().build()).downloadHeaders(HubRepository.of(LoopbackHub.ID));
    }

    private static void assertHasHeader(Path file, byte[] whole, int headerBytes) throws IOException {
        byte[] found = Files.readAllBytes(file);
        assertThat(found).hasSameSizeAs(whole);
        assertThat(ByteBuffer.wrap(found, 0, Long.BYTES + headerBytes))
                .isEqualTo(ByteBuffer.wrap(whole, 0, Long.BYTES + headerBytes));
    }

    @Test
    void header_comesWithoutTheWeights_howeverLongItIs() throws IOException {
        for (int headerBytes : new int[] {100, 400_000}) {
            byte[] whole = weights(headerBytes, (byte) 7);
            hub.file(WEIGHTS, whole);
            hub.sent.clear();
            Path path;
            try (HeaderFolder folder = headers().orElseThrow()) {
                path = folder.path();
                assertHasHeader(path.resolve(WEIGHTS), whole, headerBytes);
                assertThat(path.resolve("config.json")).hasBinaryContent(hub.bytes("config.json"));
            }
            assertThat(path).doesNotExist();
            assertThat(hub.sent(WEIGHTS)).isLessThan(whole.length);
        }
    }

    @Test
    void shards_areThoseOfTheIndex() throws IOException {
        byte[] first = weights(90, (byte) 1);
        byte[] second = weights(80, (byte) 2);
        hub.remove(WEIGHTS);
        hub.file("model-00001-of-00002.safetensors", first)
                .file("model-00002-of-00002.safetensors", second)
                .file(
                        "model.safetensors.index.json",
                        "{\"weight_map\": {\"v\": \"model-00001-of-00002.safetensors\", \"w\":"
                                + " \"model-00002-of-00002.safetensors\"}}");
        try (HeaderFolder folder = headers().orElseThrow()) {
            assertHasHeader(folder.path().resolve("model-00001-of-00002.safetensors"), first, 90);
            assertHasHeader(folder.path().resolve("model-00002-of-00002.safetensors"), second, 80);
            assertThat(folder.path().resolve("model.safetensors.index.json")).exists();
        }
        hub.remove("model-00002-of-00002.safetensors");
        assertThatThrownBy(this::headers)
                .isInstanceOf(HubException.class)
                .hasMessageContaining(
                        "has no model-00002-of-00002.safetensors, which its model.safetensors.index.json");
    }

    @Test
    void absurdLength_isLeftToTheReader() throws IOException {
        byte[] whole = weights(100, (byte) 7);
        ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).putLong(Long.MAX_VALUE);
        hub.file(WEIGHTS, whole);
        try (HeaderFolder folder = headers().orElseThrow()) {
            assertHasHeader(folder.path().resolve(WEIGHTS), whole, 100);
        }
    }

    @Test
    void brokenTransfer_isTriedAgain() throws IOException {
        byte[] whole = weights(100, (byte) 7);
        hub.file(WEIGHTS, whole);
        int[] broken = {0};
        hub.storeFault = (exchange, name) -> {
            if (broken[0]++ > 0) {
                return false;
            }
            exchange.sendResponseHeaders(503, -1);
            return true;
        };
        try (HeaderFolder folder = headers().orElseThrow()) {
            assertHasHeader(folder.path().resolve(WEIGHTS), whole, 100);
        }
    }

    @Test
    void withoutHeaders_thereIsNoFolder() {
        hub.remove(WEIGHTS);
        hub.file("pytorch_model.bin", new byte[5000]);
        assertThat(headers()).isEmpty();
        hub.close(); // what is in the cache of the configuration is used, with a warning
        assertThat(headers()).isEmpty();
    }
}
