package org.dolly4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.assertj.core.api.AbstractThrowableAssert;
import org.dolly4j.CheckpointException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ZipDirectoryTest {
    private static final int DEFLATED = 8;

    @TempDir
    private Path folder;

    private ZipDirectory read(byte[] zip) throws IOException {
        Path path = Files.write(folder.resolve("a.zip"), zip);
        try (CheckpointFile file = CheckpointFile.open(path)) {
            return ZipDirectory.read(file);
        }
    }

    private AbstractThrowableAssert<?, ?> assertRefused(byte[] zip) {
        return assertThatThrownBy(() -> read(zip))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(folder.resolve("a.zip") + ": ");
    }

    private static byte[] twoEntries() throws IOException {
        return new TestZip().add("a/x", "12345").add("a/y", "67").bytes();
    }

    @Test
    void entries_areLocatedBehindTheirLocalHeaders() throws IOException {
        byte[] zip = twoEntries();
        ZipDirectory.Entry y = read(zip).entry("a/y").orElseThrow();
        assertThat(y.size()).isEqualTo(2);
        assertThat(new String(zip, (int) y.offset(), 2, StandardCharsets.US_ASCII))
                .isEqualTo("67");
        assertThat(read(zip).entry("a/z")).isEmpty();
    }

    @Test
    void zip64Fields_areRead() throws IOException {
        byte[] zip = new TestZip().zip64().add("a/x", "12345").add("a/y", "67").bytes();
        ZipDirectory.Entry y = read(zip).entry("a/y").orElseThrow();
        assertThat(new String(zip, (int) y.offset(), 2, StandardCharsets.US_ASCII))
                .isEqualTo("67");
    }

    @Test
    void entryBeyond4GiB_isLocated() throws IOException {
        long far = 5L << 30;
        Path path = folder.resolve("far.zip");
        new TestZip()
                .zip64()
                .add("a/x", "12345")
                .add("a/y", "67".getBytes(StandardCharsets.US_ASCII), 0, 0, far, 2)
                .writeSparse(path);
        try (CheckpointFile file = CheckpointFile.open(path)) {
            ZipDirectory.Entry y = ZipDirectory.read(file).entry("a/y").orElseThrow();
            assertThat(y.offset()).isEqualTo(far + 30 + 3);
            assertThat(file.read(y.offset(), 2)).isEqualTo(ByteBuffer.wrap(new byte[] {'6', '7'}));
        }
    }

    @Test
    void zipOfTheJdk_withDataDescriptorsAndAComment_isRead() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(out)) {
            zip.setMethod(ZipOutputStream.STORED);
            ZipEntry entry = new ZipEntry("a/x");
            entry.setSize(3);
            entry.setCrc(0x352441c2L);
            zip.putNextEntry(entry);
            zip.write(new byte[] {'a', 'b', 'c'});
            zip.setComment("PK\5\6 a comment that looks like an end record");
        }
        ZipDirectory.Entry x = read(out.toByteArray()).entry("a/x").orElseThrow();
        assertThat(new String(out.toByteArray(), (int) x.offset(), 3, StandardCharsets.US_ASCII))
                .isEqualTo("abc");
    }

    @Test
    void compressedEntry_isRefusedWithTheWayOut() throws IOException {
        assertRefused(new TestZip().add("a/x", new byte[9], DEFLATED, 0, -1, 9).bytes())
                .hasMessageContaining("entry 'a/x' is compressed (zip method 8)")
                .hasMessageContaining("zip -0");
    }

    @Test
    void encryptedEntry_isRefused() throws IOException {
        assertRefused(new TestZip().add("a/x", new byte[9], 0, 1, -1, 9).bytes())
                .hasMessageContaining("is encrypted");
    }

    @Test
    void everyTruncation_isRefused() throws IOException {
        byte[] zip = twoEntries();
        for (int length = 0; length < zip.length; length++) {
            assertRefused(Arrays.copyOf(zip, length))
                    .as("first %d bytes", length)
                    .isNotNull();
        }
    }

    @Test
    void truncation_isBlamedOnTheDownload() throws IOException {
        assertRefused(Arrays.copyOf(twoEntries(), 60)).hasMessageContaining("download is probably incomplete");
    }

    @Test
    void entryLargerThanTheArchive_isRefused() throws IOException {
        byte[] zip = new TestZip().zip64().add("a/x", "12345").bytes();
        int directory = indexOf(zip, 0x02014b50);
        ByteBuffer fields = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
        int zip64 = directory + 46 + 3 + 4;
        for (long size : new long[] {6, 1L << 40, Long.MAX_VALUE, -1}) {
            fields.putLong(zip64, size).putLong(zip64 + 8, size);
            assertRefused(zip).as("%d bytes", size).hasMessageContaining("entry 'a/x'");
        }
    }

    @Test
    void entryOutsideOfTheArchive_isRefused() throws IOException {
        byte[] zip = new TestZip().zip64().add("a/x", "12345").bytes();
        int offsetField = indexOf(zip, 0x02014b50) + 46 + 3 + 4 + 16;
        for (long offset : new long[] {1, 40, 1L << 40, Long.MAX_VALUE, -1}) {
            ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN).putLong(offsetField, offset);
            assertRefused(zip).as("at %d", offset).hasMessageContaining("entry 'a/x'");
        }
    }

    @Test
    void entriesThatShareBytes_areRefused() throws IOException {
        byte[] zip = new TestZip().add("a/x", "12345").add("a/x", "67").bytes();
        int second = indexOf(zip, 0x02014b50) + 46 + 3;
        ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN).putInt(second + 42, 0);
        assertRefused(zip).hasMessageContaining("entry 'a/x' overlaps another one");
    }

    @Test
    void nameTwice_isRefused() throws IOException {
        assertRefused(new TestZip().add("a/x", "1").add("a/x", "2").bytes())
                .hasMessageContaining("holds the entry 'a/x' twice");
    }

    @Test
    void namesThatDifferBetweenDirectoryAndData_areRefused() throws IOException {
        byte[] zip = twoEntries();
        zip[30] = 'b';
        assertRefused(zip).hasMessageContaining("entry 'a/x' is not where the directory says");
    }

    @Test
    void sizesThatContradictEachOther_areRefused() throws IOException {
        assertRefused(new TestZip().add("a/x", new byte[5], 0, 0, -1, 4).bytes())
                .hasMessageContaining("contradicting sizes");
    }

    @Test
    void numberOfEntriesThatIsWrong_isRefused() throws IOException {
        byte[] zip = twoEntries();
        zip[zip.length - 12] = 3;
        assertRefused(zip).hasMessageContaining("its directory has 2 entries, not 3 as announced");
    }

    @Test
    void directoryOutsideOfTheFile_isRefusedWithoutReadingIt() throws IOException {
        byte[] zip = twoEntries();
        ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN).putInt(zip.length - 10, 0x7fffffff);
        assertRefused(zip).hasMessageContaining("its directory lies outside of the file");
    }

    private static int indexOf(byte[] bytes, int signature) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at + 4 <= bytes.length; at++) {
            if (buffer.getInt(at) == signature) {
                return at;
            }
        }
        throw new AssertionError("no such signature");
    }
}
