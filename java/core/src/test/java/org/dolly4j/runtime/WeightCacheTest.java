package org.dolly4j.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.dolly4j.DollyException;
import org.dolly4j.JavaProcess;
import org.dolly4j.checkpoint.TensorLocation;
import org.dolly4j.model.SlotRows;
import org.dolly4j.model.WeightSlot;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@Timeout(300)
class WeightCacheTest {
    private static final long PLENTY = 1L << 30;
    private static final String PART = "." + "0".repeat(8) + "-0000-0000-0000-" + "0".repeat(12) + ".part";

    @TempDir
    Path folder;

    private WeightCache cache() {
        return new WeightCache(folder.resolve("cache"), PLENTY);
    }

    private TinyModel tiny(String name) {
        try {
            return new TinyModel(Files.createDirectories(folder.resolve(name)));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static List<Float> logits(DecoderModel model) {
        try (DecoderSession session = model.newSession(4, 8, 8)) {
            Batch batch = new Batch(3, 1, 4);
            batch.beginSequence(0, new int[] {2, 0}, 1);
            batch.addRow(7, true);
            batch.addRow(30, true);
            batch.addRow(49, true);
            FloatBuffer logits = session.step(batch);
            List<Float> values = new ArrayList<>();
            while (logits.hasRemaining()) {
                values.add(logits.get());
            }
            return values;
        }
    }

    /** Loads through the cache. */
    private record Loaded(List<Float> logits, boolean mapped) {
        static Loaded of(TinyModel tiny, WeightType type, WeightCache cache) {
            try (DecoderModel model = tiny.load(type, cache)) {
                return new Loaded(
                        WeightCacheTest.logits(model), model.mappedFile().isPresent());
            }
        }

        static Loaded of(TinyModel tiny, WeightCache cache) {
            return of(tiny, WeightType.BFLOAT16, cache);
        }
    }

    /** What is logged, a line each, while something runs. */
    private static List<String> log(Callable<?> body) {
        PrintStream previous = System.err;
        ByteArrayOutputStream log = new ByteArrayOutputStream();
        System.setErr(new PrintStream(log, true, StandardCharsets.UTF_8));
        try {
            body.call();
        } catch (Exception e) {
            throw new AssertionError(e);
        } finally {
            System.setErr(previous);
        }
        return log.toString(StandardCharsets.UTF_8).lines().toList();
    }

    private static List<Path> filesIn(WeightCache cache) throws IOException {
        try (Stream<Path> files = Files.list(cache.folder())) {
            return files.sorted().toList();
        }
    }

    private Path theFile() {
        return cache().list().get(0).file();
    }

    @ParameterizedTest
    @EnumSource(WeightType.class)
    void laterLoads_mapTheFileAndHaveTheSameBits(WeightType type) throws Exception {
        TinyModel tiny = tiny("model");
        List<Float> expected;
        try (DecoderModel model = DecoderModel.load(TinyModel.SPEC, tiny.rows(), TinyModel.kernels(type))) {
            assertThat(model.mappedFile()).isEmpty();
            expected = logits(model);
        }

        Loaded first = Loaded.of(tiny, type, cache());
        Object inode = Files.readAttributes(theFile(), "unix:ino").get("ino");
        Loaded second = Loaded.of(tiny, type, cache());

        assertThat(first).isEqualTo(new Loaded(expected, true));
        assertThat(second).isEqualTo(first);
        assertThat(Files.readAttributes(theFile(), "unix:ino").get("ino")).isEqualTo(inode);
        assertThat(filesIn(cache())).hasSize(1);
    }

    @Test
    void folderAndFile_areTheUsersAlone() throws Exception {
        Loaded.of(tiny("model"), cache());

        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(cache().folder())))
                .isEqualTo("rwx------");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(theFile())))
                .isEqualTo("rw-------");
    }

    @Test
    void list_saysWhatTheFilesAre() {
        TinyModel tiny = tiny("model");
        Loaded.of(tiny, cache());
        Loaded.of(tiny, WeightType.FLOAT32, cache());

        List<CachedWeights> files = cache().list();

        assertThat(files)
                .extracting(file -> file.origin().orElseThrow())
                .containsExactlyInAnyOrder(
                        new CachedWeights.Origin(folder.resolve("model").toString(), "bfloat16"),
                        new CachedWeights.Origin(folder.resolve("model").toString(), "float32"));
        assertThat(files).allSatisfy(file -> {
            assertThat(file.id()).matches("[0-9a-f]{64}");
            assertThat(file.bytes()).isEqualTo(file.file().toFile().length());
            assertThat(file.lastUsed()).isAfter(Instant.now().minusSeconds(300));
        });
        assertThat(new WeightCache(folder.resolve("none"), PLENTY).list()).isEmpty();
    }

    @Test
    void damagedFiles_areWarnedOfOnceAndMadeAnew() throws Exception {
        TinyModel tiny = tiny("model");
        Loaded good = Loaded.of(tiny, cache());
        Path file = theFile();
        byte[] bytes = Files.readAllBytes(file);
        List<UnaryOperator<byte[]>> damages = List.of(
                whole -> new byte[0],
                whole -> "not packed weights".getBytes(StandardCharsets.UTF_8),
                whole -> flipped(whole, 8),
                whole -> flipped(whole, 20),
                whole -> flipped(whole, 150),
                whole -> flipped(whole, whole.length - 1),
                whole -> Arrays.copyOf(whole, whole.length - 1),
                whole -> Arrays.copyOf(whole, whole.length / 2),
                whole -> Arrays.copyOf(whole, whole.length + 1));
        for (int i = 0; i < damages.size(); i++) {
            replace(file, damages.get(i).apply(bytes));

            List<String> log = log(() -> assertThat(Loaded.of(tiny, cache())).isEqualTo(good));

            assertThat(log).as("damage %s", i).singleElement().asString().contains(file.toString());
            assertThat(Files.readAllBytes(file)).as("damage %s", i).isEqualTo(bytes);
            assertThat(log(() -> Loaded.of(tiny, cache()))).as("damage %s", i).isEmpty();
        }
    }

    /** As everyone must who changes files that may be mapped. */
    private static void replace(Path file, byte[] bytes) throws IOException {
        Files.delete(file);
        Files.write(file, bytes);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    }

    private static byte[] flipped(byte[] bytes, int at) {
        byte[] changed = bytes.clone();
        changed[at] ^= 4;
        return changed;
    }

    @Test
    void fileThatOthersCanChange_isNotMapped() throws Exception {
        TinyModel tiny = tiny("model");
        Loaded good = Loaded.of(tiny, cache());
        Files.setPosixFilePermissions(theFile(), PosixFilePermissions.fromString("rw-rw-rw-"));

        List<String> log = log(() -> assertThat(Loaded.of(tiny, cache())).isEqualTo(good));

        assertThat(log).singleElement().asString().contains("others than this user");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(theFile())))
                .isEqualTo("rw-------");
    }

    @Test
    void changedCheckpoint_isLoadedAnew() {
        TinyModel tiny = tiny("model");
        Loaded before = Loaded.of(tiny, cache());
        TensorLocation head = tiny.rowsOf(WeightSlot.HEAD_WEIGHT, 0).source();
        tiny.overwrite(head, 0, 3);

        Loaded after = Loaded.of(tiny, cache());

        assertThat(after.logits()).isNotEqualTo(before.logits());
        assertThat(cache().list()).hasSize(2);
    }

    @Test
    void key_isOfTheWeightsAlone() throws Exception {
        TinyModel tiny = tiny("model");
        List<SlotRows> rows = tiny.rows();
        ModelOptions options = TinyModel.kernels(WeightType.BFLOAT16);
        WeightKey key = WeightKey.of(TinyModel.SPEC, rows, options);
        SlotRows part = tiny.rowsOf(WeightSlot.QKV_WEIGHT, 1);
        List<SlotRows> others = new ArrayList<>(rows);
        others.set(
                rows.indexOf(part),
                new SlotRows(
                        part.source(),
                        part.slot(),
                        part.layer(),
                        List.of(new SlotRows.Run(0, 36, 36), new SlotRows.Run(36, 0, 36))));
        ModelOptions sameWeights = new ModelOptions(WeightType.BFLOAT16, ModelOptions.Backend.KERNELS, "cpu", 1, true);

        assertThat(key.text()).matches("[0-9a-f]{64}");
        assertThat(WeightKey.of(TinyModel.SPEC, rows, sameWeights)).isEqualTo(key);
        assertThat(WeightKey.of(TinyModel.SPEC, rows, TinyModel.kernels(WeightType.FLOAT32)))
                .isNotEqualTo(key);
        assertThat(WeightKey.of(TinyModel.SPEC, others, options)).isNotEqualTo(key);
        assertThat(WeightKey.of(TinyModel.SPEC, tiny("other").rows(), options)).isNotEqualTo(key);
        Files.setLastModifiedTime(tiny.file(), FileTime.fromMillis(1));
        assertThat(WeightKey.of(TinyModel.SPEC, rows, options)).isNotEqualTo(key);
    }

    @Test
    void key_ofABlobOfTheHubsCache_isThatOfItsContent() throws Exception {
        String hash = "0123456789abcdef".repeat(4);
        List<WeightKey> keys = new ArrayList<>();
        for (String place : List.of("here", "there")) {
            Path snapshot = Files.createDirectories(folder.resolve(place).resolve("snapshots/1"));
            TinyModel tiny = new TinyModel(snapshot);
            Path blob = Files.createDirectories(folder.resolve(place).resolve("blobs"))
                    .resolve(hash);
            Files.move(tiny.file(), blob);
            Files.createSymbolicLink(tiny.file(), blob);
            Files.setLastModifiedTime(blob, FileTime.fromMillis(keys.size()));
            keys.add(WeightKey.of(TinyModel.SPEC, tiny.rows(), TinyModel.kernels(WeightType.BFLOAT16)));
        }
        assertThat(keys.get(0)).isEqualTo(keys.get(1));
    }

    @Test
    void folderThatCannotBeWritten_isOneWarningAndTheModelLoads() throws Exception {
        TinyModel tiny = tiny("model");
        Path noFolder = Files.writeString(folder.resolve("file"), "");
        WeightCache unusable = new WeightCache(noFolder, PLENTY);
        Loaded good = Loaded.of(tiny, cache());

        List<String> log = log(() -> assertThat(Loaded.of(tiny, unusable)).isEqualTo(new Loaded(good.logits(), false)));

        assertThat(log).singleElement().asString().contains(noFolder.toString(), "--cache-dir", "-Ddolly4j.cache.dir");
    }

    @Test
    void weightsLargerThanTheCache_areNotKept() {
        TinyModel tiny = tiny("model");
        WeightCache small = new WeightCache(folder.resolve("cache"), 1000);

        List<String> log = log(() -> assertThat(Loaded.of(tiny, small).mapped()).isFalse());

        assertThat(log).singleElement().asString().contains("1,000", "cacheSize");
        assertThat(small.list()).isEmpty();
    }

    @Test
    void whatWasUsedLongestAgo_isDeletedFirst_andOnlyFilesOfTheCache() throws Exception {
        List<TinyModel> models = List.of(tiny("a"), tiny("b"), tiny("c"));
        Loaded.of(models.get(0), cache());
        Loaded.of(models.get(1), cache());
        long size = Files.size(theFile());
        WeightCache twoFiles = new WeightCache(folder.resolve("cache"), 2 * size + size / 2);
        Path stranger = Files.write(twoFiles.folder().resolve("notes.packed"), new byte[100_000]);
        Files.setLastModifiedTime(stranger, FileTime.fromMillis(0));
        for (CachedWeights file : twoFiles.list()) {
            Files.setLastModifiedTime(file.file(), FileTime.from(Instant.now().minusSeconds(1000)));
        }

        Loaded.of(models.get(0), twoFiles);
        Loaded.of(models.get(2), twoFiles);

        assertThat(twoFiles.list())
                .extracting(file -> Path.of(file.origin().orElseThrow().model())
                        .getFileName()
                        .toString())
                .containsExactly("c", "a");
        assertThat(stranger).exists();

        WeightCache oneFile = new WeightCache(folder.resolve("cache"), size + size / 2);
        Loaded.of(models.get(1), oneFile);
        assertThat(oneFile.list())
                .extracting(file -> Path.of(file.origin().orElseThrow().model())
                        .getFileName()
                        .toString())
                .containsExactly("b");
    }

    /** A cache on a disk of so many bytes, of which 1 GiB is never used. */
    private WeightCache onDiskOf(long bytes) {
        return new WeightCache(folder.resolve("cache"), PLENTY, there -> {
            long used = 0;
            for (Path file : filesIn(cache())) {
                used += Files.size(file);
            }
            return (1L << 30) + bytes - used;
        });
    }

    @Test
    void diskWithoutRoom_isMadeRoomOn_byWhatWasUsedLongestAgoAndWhatDeadWritersLeft() throws Exception {
        Loaded.of(tiny("a"), cache());
        Loaded.of(tiny("b"), cache());
        long size = Files.size(theFile());
        for (CachedWeights file : cache().list()) {
            boolean isOlder = file.origin().orElseThrow().model().endsWith("a");
            Files.setLastModifiedTime(file.file(), FileTime.from(Instant.now().minusSeconds(isOlder ? 200 : 100)));
        }
        Files.write(cache().folder().resolve("a".repeat(64) + PART), new byte[(int) size]);

        assertThat(Loaded.of(tiny("c"), onDiskOf(2 * size + 10)).mapped()).isTrue();

        assertThat(cache().list())
                .extracting(file -> Path.of(file.origin().orElseThrow().model())
                        .getFileName()
                        .toString())
                .containsExactly("c", "b");
        assertThat(filesIn(cache())).hasSize(2);
    }

    @Test
    void diskThatIsTooFullEvenSo_keepsItsFiles() {
        Loaded.of(tiny("a"), cache());

        List<String> log =
                log(() -> assertThat(Loaded.of(tiny("b"), onDiskOf(0)).mapped()).isFalse());

        assertThat(log).singleElement().asString().contains("free on the disk", "--cache-dir");
        assertThat(cache().list()).hasSize(1);
    }

    /** Prints where the cache is. */
    static final class PrintFolder {
        public static void main(String[] arguments) {
            System.out.println("in " + WeightCache.defaultBase());
        }
    }

    @Test
    void folder_isThatOfTheProperty_orTheVariable_orTheUsersCaches_orInTheHome() throws Exception {
        JavaProcess program = new JavaProcess(PrintFolder.class);
        for (String variable : List.of("DOLLY4J_CACHE_DIR", "XDG_CACHE_HOME")) {
            program.environment.remove(variable);
        }
        program.options.addAll(List.of("-Duser.home=/home/someone", "-Djava.io.tmpdir=/var/tmp"));
        assertThat(program.output()).contains("in /home/someone/.cache/dolly4j");
        program.environment.put("XDG_CACHE_HOME", "relative");
        assertThat(program.output()).contains("in /home/someone/.cache/dolly4j");
        program.options.add("-Duser.home=?"); // as Java has it where the system knows none
        assertThat(program.output()).contains("in /var/tmp/dolly4j-" + Files.getAttribute(folder, "unix:uid"));
        program.environment.put("XDG_CACHE_HOME", "/caches");
        assertThat(program.output()).contains("in /caches/dolly4j");
        program.environment.put("DOLLY4J_CACHE_DIR", "/variable");
        assertThat(program.output()).contains("in /variable");
        program.options.add("-Ddolly4j.cache.dir=/property");
        assertThat(program.output()).contains("in /property");
    }

    @Test
    void deletedFile_isNoHarmToAModelThatHasItMapped() {
        TinyModel tiny = tiny("model");
        Loaded.of(tiny, cache());
        try (DecoderModel model = tiny.load(WeightType.BFLOAT16, cache())) {
            List<Float> before = logits(model);
            cache().list().forEach(cache()::delete);
            assertThat(cache().list()).isEmpty();
            assertThat(logits(model)).isEqualTo(before);
        }
    }

    @Test
    void threadsAtOnce_allGetTheSameBitsAndLeaveOneFile() throws Exception {
        TinyModel tiny = tiny("model");
        List<Float> expected = Loaded.of(tiny, new WeightCache(folder.resolve("other"), PLENTY))
                .logits();
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<Loaded>> loads = new ArrayList<>();
            for (int i = 0; i < 24; i++) {
                loads.add(threads.submit(() -> Loaded.of(tiny, cache())));
            }
            for (Future<Loaded> load : loads) {
                assertThat(load.get().logits()).isEqualTo(expected);
            }
        } finally {
            threads.shutdownNow();
        }
        assertThat(filesIn(cache())).hasSize(1);
        assertThat(Loaded.of(tiny, cache())).isEqualTo(new Loaded(expected, true));
    }

    /** Loads a model through a cache and prints a hash of its logits. */
    static final class LoadInAProcess {
        public static void main(String[] arguments) {
            Path folder = Path.of(arguments[0]);
            List<SlotRows> rows = TinyModel.in(folder.resolve("model")).rows();
            WeightCache cache = new WeightCache(folder.resolve("cache"), PLENTY);
            for (int i = 0; i < 10; i++) {
                try (DecoderModel model = DecoderModel.load(
                        TinyModel.SPEC,
                        rows,
                        TinyModel.kernels(WeightType.BFLOAT16),
                        8,
                        Optional.of(cache),
                        () -> false)) {
                    System.out.println(logits(model).hashCode());
                }
                cache.list().forEach(cache::delete);
            }
        }
    }

    @Test
    void processesAtOnce_thatAlsoDelete_allGetTheSameBits() throws Exception {
        Loaded good = Loaded.of(tiny("model"), cache());
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            processes.add(java(LoadInAProcess.class, folder.toString()));
        }
        for (Process process : processes) {
            String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor()).as(out).isZero();
            assertThat(out.lines())
                    .hasSize(10)
                    .containsOnly(String.valueOf(good.logits().hashCode()));
        }
    }

    /** Locks a file as a writer does, says so, and waits for its end. */
    static final class Writer {
        public static void main(String[] arguments) throws Exception {
            try (FileChannel channel = FileChannel.open(Path.of(arguments[0]), StandardOpenOption.WRITE)) {
                System.out.println("locked " + channel.lock().isValid());
                System.in.read();
            }
        }
    }

    @Test
    void leftovers_areDeletedOnceTheirWriterHasEnded() throws Exception {
        TinyModel tiny = tiny("model");
        Loaded.of(tiny, cache());
        String key = cache().list().get(0).id();
        cache().list().forEach(cache()::delete);
        Path part = Files.write(cache().folder().resolve(key + PART), new byte[1000]);
        Process writer = java(Writer.class, part.toString());
        assertThat(writer.inputReader().readLine()).isEqualTo("locked true");

        assertThat(cache().deleteLeftovers()).isZero();
        assertThat(Loaded.of(tiny, cache()).mapped())
                .as("another process writes it")
                .isFalse();
        assertThat(part).exists();

        writer.destroyForcibly();
        assertThat(writer.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(Loaded.of(tiny, cache()).mapped()).isTrue();
        assertThat(part).doesNotExist();
    }

    @Test
    void leftoverOfAnEndedWriter_countsWhatItFrees() throws Exception {
        Loaded.of(tiny("model"), cache());
        Files.write(cache().folder().resolve("a".repeat(64) + PART), new byte[1000]);

        assertThat(cache().deleteLeftovers()).isEqualTo(1000);
        assertThat(filesIn(cache())).hasSize(1);
    }

    @Test
    void list_ofAFolderThatCannotBeRead_saysWhichAndWhy() throws Exception {
        Path loop = Files.createSymbolicLink(folder.resolve("loop"), folder.resolve("loop"));
        assertThatThrownBy(() -> new WeightCache(loop, PLENTY).list())
                .isInstanceOf(DollyException.class)
                .hasMessageContaining(loop.toString());
    }

    private static Process java(Class<?> program, String argument) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        program.getName(),
                        argument)
                .redirectError(new File("/dev/null"))
                .start();
    }
}
