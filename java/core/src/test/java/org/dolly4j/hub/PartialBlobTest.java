package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PartialBlobTest {
    private static final int PART = 100;
    private static final int SIZE = 250;

    @TempDir
    Path folder;

    private Path blob;

    @BeforeEach
    void leaveOnePartAndAHalf() throws IOException {
        blob = folder.resolve("blobs").resolve("etag");
        try (PartialBlob partial = PartialBlob.open(blob, SIZE, PART)) {
            partial.add(2, bytes(50));
            partial.add(1, bytes(30));
            partial.note(1);
        }
    }

    private static ByteBuffer bytes(int count) {
        return ByteBuffer.wrap(HubFixture.random(count, 1));
    }

    private long present(long size, int partBytes) throws IOException {
        try (PartialBlob partial = PartialBlob.open(blob, size, partBytes)) {
            return partial.present();
        }
    }

    @Test
    void whatIsHere_isKnownLater() throws IOException {
        assertThat(PartialBlob.left(blob, SIZE)).isEqualTo(80);
        try (PartialBlob partial = PartialBlob.open(blob, SIZE, PART)) {
            assertThat(partial.partCount()).isEqualTo(3);
            assertThat(partial.length(2)).isEqualTo(50);
            assertThat(partial.present(0)).isZero();
            assertThat(partial.present(1)).isEqualTo(30);
            assertThat(partial.present(2)).isEqualTo(50);
        }
    }

    @Test
    void otherPartSize_keepsTheFormerOne() throws IOException {
        assertThat(present(SIZE, 70)).isEqualTo(80);
    }

    @Test
    void otherSize_beginsAnew() throws IOException {
        assertThat(present(SIZE + 1, PART)).isZero();
    }

    @Test
    void shortenedBytes_beginAnew() throws IOException {
        Files.write(PartialBlob.bytesFile(blob), new byte[120]);
        assertThat(present(SIZE, PART)).isZero();
    }

    @Test
    void damagedNumbers_beginAnew() throws IOException {
        Path numbers = folder.resolve("blobs/etag.dolly4j.ranges");
        byte[] right = Files.readAllBytes(numbers);
        for (int at = 0; at < right.length; at++) {
            byte[] wrong = right.clone();
            wrong[at] ^= (byte) 0x80;
            Files.write(numbers, wrong);
            assertThat(present(SIZE, PART)).as("byte " + at).isLessThanOrEqualTo(SIZE);
        }
        for (int length = 0; length < right.length - Long.BYTES; length++) {
            leaveOnePartAndAHalf();
            Files.write(numbers, Arrays.copyOf(right, length));
            assertThat(present(SIZE, PART)).as("first " + length + " bytes").isZero();
        }
    }

    @Test
    void namesOfItsFiles_areNotThoseOfHuggingfaceHub() throws IOException {
        try (var files = Files.list(blob.getParent())) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder("etag.dolly4j.incomplete", "etag.dolly4j.ranges");
        }
    }

    @Test
    void become_leavesTheBlobAlone() throws IOException {
        try (PartialBlob partial = PartialBlob.open(blob, SIZE, PART)) {
            partial.add(0, bytes(100));
            partial.add(1, bytes(70));
            partial.become(blob);
        }
        try (var files = Files.list(blob.getParent())) {
            assertThat(files).containsExactly(blob);
        }
    }

    @Test
    void incompleteBlob_doesNotBecomeOne() throws IOException {
        try (PartialBlob partial = PartialBlob.open(blob, SIZE, PART)) {
            assertThatThrownBy(() -> partial.become(blob)).isInstanceOf(IOException.class);
        }
        assertThat(blob).doesNotExist();
    }
}
