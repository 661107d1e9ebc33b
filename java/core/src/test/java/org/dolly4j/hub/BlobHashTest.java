package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlobHashTest {
    @TempDir
    Path folder;

    @Test
    void hashes_areThoseOfShaAndGit() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "hello\n");
        assertThat(BlobHash.SHA_256.hash(file, read -> {}))
                .isEqualTo("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
        // As git hash-object says.
        assertThat(BlobHash.GIT.hash(file, read -> {})).isEqualTo("ce013625030ba8dba906f756967f9e9ca394464a");
    }

    @Test
    void etagThatIsNoHash_isNone() {
        assertThat(BlobHash.of("0".repeat(64))).contains(BlobHash.SHA_256);
        assertThat(BlobHash.of("f".repeat(40))).contains(BlobHash.GIT);
        assertThat(BlobHash.of("g".repeat(40))).isEmpty();
        assertThat(BlobHash.of("0".repeat(41))).isEmpty();
        assertThat(BlobHash.of("5f363e0e58a95-f")).isEmpty();
    }
}
