package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoExtractionTest {
    private static final List<String> FILES = List.of(
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json");

    @TempDir
    private Path temporary;

    /** A class loader that finds the demo's files, each with its name as contents, in a jar and nowhere else. */
    private ClassLoader jar(String suffix) throws IOException {
        Path jar = Files.createTempFile(temporary, "demo", ".jar");
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream entries = new JarOutputStream(out)) {
            for (String file : FILES) {
                entries.putNextEntry(new JarEntry("org/dolly4j/demo/" + file));
                entries.write((file + suffix).getBytes(StandardCharsets.UTF_8));
            }
        }
        return new URLClassLoader(new URL[] {jar.toUri().toURL()}, null);
    }

    private Path base() {
        return temporary.resolve("some/base");
    }

    private static Set<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
        }
    }

    @Test
    void jar_isExtractedOnceToAFolderOfThisUserAlone() throws Exception {
        Path folder = DemoModel.folder(jar(""), base());
        assertThat(names(folder)).containsExactlyInAnyOrderElementsOf(FILES);
        assertThat(folder.resolve("model.safetensors")).hasContent("model.safetensors");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
                .isEqualTo("rwx------");
        Object extracted = Files.getAttribute(folder.resolve("config.json"), "unix:ino");
        assertThat(DemoModel.folder(jar(""), base())).isEqualTo(folder);
        assertThat(Files.getAttribute(folder.resolve("config.json"), "unix:ino"))
                .isEqualTo(extracted);
        assertThat(names(base())).hasSize(1);
    }

    @Test
    void extractedBefore_nothingIsWritten() throws Exception {
        Path folder = DemoModel.folder(jar(""), base());
        FileTime longAgo = FileTime.fromMillis(1_000_000_000_000L);
        for (Path touched : List.of(base(), folder)) {
            Files.setLastModifiedTime(touched, longAgo);
        }
        DemoModel.folder(jar(""), base());
        assertThat(Files.getLastModifiedTime(base())).isEqualTo(longAgo);
        assertThat(Files.getLastModifiedTime(folder)).isEqualTo(longAgo);
    }

    @Test
    void otherContents_goToAnotherFolder() throws Exception {
        assertThat(DemoModel.folder(jar("2"), base())).isNotEqualTo(DemoModel.folder(jar(""), base()));
    }

    @Test
    void missingAndShortFiles_arePutBack() throws Exception {
        Path folder = DemoModel.folder(jar(""), base());
        Files.delete(folder.resolve("tokenizer.json"));
        Files.writeString(folder.resolve("model.safetensors"), "mod");
        DemoModel.folder(jar(""), base());
        assertThat(folder.resolve("tokenizer.json")).hasContent("tokenizer.json");
        assertThat(folder.resolve("model.safetensors")).hasContent("model.safetensors");
    }

    @Test
    void startingTogether_allGetACompleteFolder() throws Exception {
        ClassLoader jar = jar("x".repeat(1 << 20));
        ExecutorService pool = Executors.newFixedThreadPool(8);
        try {
            List<Callable<Long>> starts = IntStream.range(0, 8)
                    .mapToObj(i -> (Callable<Long>)
                            () -> Files.size(DemoModel.folder(jar, base()).resolve("model.safetensors")))
                    .toList();
            for (Future<Long> size : pool.invokeAll(starts)) {
                assertThat(size.get()).isEqualTo("model.safetensors".length() + (1 << 20));
            }
        } finally {
            pool.shutdown();
        }
        assertThat(names(base())).hasSize(1);
    }

    @Test
    void folderThatOthersCanWrite_isRefused() throws Exception {
        Path folder = DemoModel.folder(jar(""), base());
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThatThrownBy(() -> DemoModel.folder(jar(""), base()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("not a folder of this user alone")
                .hasMessageContaining("-Ddolly4j.demo.dir");
    }

    @Test
    void linkInPlaceOfTheFolder_isRefused() throws Exception {
        Path folder = DemoModel.folder(jar(""), base());
        Path elsewhere = Files.move(folder, temporary.resolve("elsewhere"));
        Files.createSymbolicLink(folder, elsewhere);
        assertThatThrownBy(() -> DemoModel.folder(jar(""), base())).isInstanceOf(CheckpointException.class);
    }

    @Test
    void baseThatCannotBeAFolder_isSaid() throws Exception {
        Path file = Files.createFile(temporary.resolve("file"));
        assertThatThrownBy(() -> DemoModel.folder(jar(""), file))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("-Ddolly4j.demo.dir=DIR");
    }

    @Test
    void plainFiles_areUsedWhereTheyAre() throws Exception {
        Path files = Files.createDirectories(temporary.resolve("classes/org/dolly4j/demo"));
        for (String file : FILES) {
            Files.writeString(files.resolve(file), file);
        }
        ClassLoader loader = new URLClassLoader(
                new URL[] {temporary.resolve("classes").toUri().toURL()}, null);
        assertThat(DemoModel.folder(loader, base())).isEqualTo(files);
        assertThat(base()).doesNotExist();
    }

    @Test
    void withoutTheArtifact_itsNameIsSaid() {
        assertThatThrownBy(() -> DemoModel.folder(new URLClassLoader(new URL[0], null), base()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("org.dolly4j:dolly4j-demo-model");
    }
}
