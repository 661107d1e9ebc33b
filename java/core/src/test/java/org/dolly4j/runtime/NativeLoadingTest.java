package org.dolly4j.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.File;
import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.dolly4j.CheckpointException;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.GenerationRequest;
import org.dolly4j.JavaProcess;
import org.dolly4j.check.SequenceDecoder;
import org.dolly4j.model.SlotRows;
import org.dolly4j.model.WeightSlot;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Loading of the native library in the ways of real processes; each in a JVM of its own. */
class NativeLoadingTest {
    @TempDir
    Path folder;

    /** Prints the version of the native library. */
    static final class PrintVersion {
        public static void main(String[] arguments) {
            System.out.println("native " + BuildInfo.current().version());
        }
    }

    /** Loads the native library, and libtorch, from two class loaders in turn. */
    static final class TwoClassLoaders {
        public static void main(String[] arguments) throws Exception {
            List<URL> urls = new ArrayList<>();
            for (String entry : System.getProperty("java.class.path").split(System.getProperty("path.separator"), -1)) {
                urls.add(url(entry));
            }
            for (int i = 0; i < 2; i++) {
                // Not closed: what it loaded stays in use.
                @SuppressWarnings("resource")
                URLClassLoader loader =
                        new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
                Class<?> library = loader.loadClass(NativeLibrary.class.getName());
                var attach = library.getDeclaredMethod("attachLibtorch", int.class);
                attach.setAccessible(true);
                attach.invoke(null, 1);
                var buildInfo = library.getDeclaredMethod("buildInfo");
                buildInfo.setAccessible(true);
                System.out.println("loader " + i + " " + buildInfo.invoke(null));
            }
        }

        private static URL url(String entry) throws MalformedURLException {
            return Path.of(entry).toUri().toURL();
        }
    }

    /** Loads a model from a folder with an accent in its name, then one that is damaged. */
    static final class FolderWithAnAccent {
        public static void main(String[] arguments) throws Exception {
            TinyModel tiny = new TinyModel(Files.createDirectory(Path.of(arguments[0], "mod\u00e8le")));
            try (DecoderModel model = tiny.load()) {
                System.out.println("weights " + model.weightBytes());
            }
            tiny.overwrite(tiny.rowsOf(WeightSlot.FC2_WEIGHT, 1).source(), 5, Float.NaN);
            try {
                tiny.load();
            } catch (CheckpointException e) {
                System.out.println("named " + e.getMessage().startsWith(tiny.file() + ": tensor"));
            }
        }
    }

    /** Loads a model with the number of threads in the argument, twice. */
    static final class Threads {
        public static void main(String[] arguments) throws Exception {
            TinyModel tiny = TinyModel.temporary(Backend.LIBTORCH);
            for (int i = 0; i < 2; i++) {
                tiny.load(Integer.parseInt(arguments[0])).close();
            }
            System.out.println("threads " + BuildInfo.current().libtorchThreads());
        }
    }

    @Test
    void modelInAFolderWithAnAccent_isFoundAndNamedWhateverTheDefaultCharset() throws Exception {
        JavaProcess run = new JavaProcess(FolderWithAnAccent.class, folder.toString());
        run.options.add("-Dfile.encoding=ISO-8859-1");
        run.environment.put("LC_ALL", "C.UTF-8");
        assertThat(run.output()).contains("weights ", "named true");
    }

    @Test
    void threads_thatAreStatedButNotUsed_areWarnedOf() throws Exception {
        JavaProcess run = new JavaProcess(Threads.class, "2");
        run.environment.put("OMP_NUM_THREADS", "1");
        assertThat(run.output())
                .contains("threads 1")
                .containsPattern("(?s)(libtorch runs with 1 CPU threads, not with the 2 .*){2}");
    }

    @Test
    void threads_thatAreNotStatedOrAsStated_areNotWarnedOf() throws Exception {
        JavaProcess unstated = new JavaProcess(Threads.class, "0");
        unstated.environment.put("OMP_NUM_THREADS", "1");
        assertThat(unstated.output()).contains("threads 1").doesNotContain("libtorch runs with");
        JavaProcess heeded = new JavaProcess(Threads.class, "1");
        heeded.environment.remove("OMP_NUM_THREADS");
        assertThat(heeded.output()).contains("threads 1").doesNotContain("libtorch runs with");
    }

    @Test
    void versionOfTheNativeLibrary_isThatOfTheProject() {
        assertThat(BuildInfo.current().version()).isEqualTo(System.getProperty("dolly4j.test.version"));
    }

    @Test
    void withoutAFolderThatCanBeWritten_itSaysWhatToSet() throws Exception {
        JavaProcess run = new JavaProcess(PrintVersion.class);
        run.options.addAll(
                List.of("-Duser.home=/proc/none", "-Djava.io.tmpdir=/proc/none", "-Ddolly4j.native.dir=/proc/none"));
        run.classPath = classPathWithJar(folder);
        assertThat(run.output()).contains("set -Ddolly4j.native.dir=DIR to a folder that can be written");
    }

    @Test
    void withAHomeThatCannotBeWritten_itIsExtractedElsewhere() throws Exception {
        Path temporary = Files.createDirectory(folder.resolve("temporary"));
        JavaProcess run = new JavaProcess(PrintVersion.class);
        run.options.addAll(List.of("-Duser.home=/proc/none", "-Djava.io.tmpdir=" + temporary));
        run.classPath = classPathWithJar(folder);
        assertThat(run.output()).contains("native 0.");
        assertThat(extractedLibraries(temporary)).isNotEmpty();
    }

    @Test
    void withAFolderOfTheUsersChoice_itIsExtractedThere() throws Exception {
        Path chosen = folder.resolve("chosen");
        JavaProcess run = new JavaProcess(PrintVersion.class);
        run.options.add("-Ddolly4j.native.dir=" + chosen);
        run.classPath = classPathWithJar(folder);
        assertThat(run.output()).contains("native 0.");
        assertThat(extractedLibraries(chosen)).isNotEmpty();
    }

    @Test
    void fromTwoClassLoaders_itLoadsTwice() throws Exception {
        assertThat(new JavaProcess(TwoClassLoaders.class).output())
                .contains("loader 0", "loader 1")
                .contains("libtorchAttached=true");
    }

    /** Answers with the demo model, by the backend that the argument names or else the default one. */
    static final class Answer {
        public static void main(String[] arguments) {
            DollyOptions.Builder options = DollyOptions.builder();
            if (arguments.length > 0) {
                options.backend(Backend.valueOf(arguments[0]));
            }
            Path demo = Path.of("../demo-model/src/main/resources/org/dolly4j/demo");
            try (Dolly dolly = Dolly.load(demo, options.build())) {
                GenerationRequest request = GenerationRequest.forInstruction("What is the capital city of Thailand?")
                        .sampling(SamplingOptions.greedy())
                        .build();
                System.out.println(dolly.generate(request).text());
            }
        }
    }

    @Test
    void withoutLibtorchOnTheClassPath_theDefaultBackendAnswers() throws Exception {
        JavaProcess run = new JavaProcess(Answer.class);
        run.classPath = classPathWithoutLibtorch();
        assertThat(run.output()).contains("The capital of Thailand is Bangkok.");
    }

    @Test
    void withoutLibtorchOnTheClassPath_itsBackendNamesTheArtifactToAdd() throws Exception {
        JavaProcess run = new JavaProcess(Answer.class, "LIBTORCH");
        run.classPath = classPathWithoutLibtorch();
        assertThat(run.output()).contains("BackendException", "org.dolly4j:dolly4j-libtorch");
    }

    private static String classPathWithoutLibtorch() {
        String separator = System.getProperty("path.separator");
        return Arrays.stream(System.getProperty("java.class.path").split(separator, -1))
                .filter(entry -> !entry.contains("pytorch") && !entry.contains("openblas"))
                .collect(Collectors.joining(separator));
    }

    @Test
    void libtorchFromAFolderWithoutIt_namesTheFolder() throws Exception {
        JavaProcess run = new JavaProcess(TwoClassLoaders.class);
        run.options.add("-Ddolly4j.libtorch=" + folder);
        assertThat(run.output()).contains("BackendException", folder.toString(), "libtorch_cpu.so");
    }

    /** The class path of this test with the library's classes in a jar, from which natives must be extracted. */
    private static String classPathWithJar(Path folder) throws IOException, URISyntaxException {
        Path classes = Path.of(NativeLibrary.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        Path jar = folder.resolve("dolly4j-core.jar");
        try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(jar));
                Stream<Path> files = Files.walk(classes)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                zip.putNextEntry(
                        new ZipEntry(classes.relativize(file).toString().replace(File.separatorChar, '/')));
                Files.copy(file, zip);
            }
        }
        return System.getProperty("java.class.path").replace(classes.toString(), jar.toString());
    }

    private static List<Path> extractedLibraries(Path root) throws IOException {
        try (var files = Files.walk(root)) {
            return files.filter(file -> file.getFileName().toString().contains("jnidolly4j"))
                    .toList();
        }
    }

    /** Prints the number of threads that kernels run on, and the CPUs that each of the pool's may use. */
    static final class KernelThreads {
        public static void main(String[] arguments) throws Exception {
            TinyModel tiny = TinyModel.temporary(Backend.KERNELS);
            try (DecoderModel model = tiny.load(0)) {
                System.out.println("threads " + model.threads());
                new SequenceDecoder(model).logits(new int[] {1, 2, 3}, 1);
            }
            try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
                for (Path task : tasks.toList()) {
                    if (Files.readString(task.resolve("comm")).matches("dolly4j-[0-9]+\\s*")) {
                        Matcher cpus = Pattern.compile("Cpus_allowed_list:\\s*(\\S+)")
                                .matcher(Files.readString(task.resolve("status")));
                        System.out.println("cpus " + (cpus.find() ? cpus.group(1) : "unknown"));
                    }
                }
            }
        }
    }

    @Test
    void threads_areThoseThatThePropertyStates() throws Exception {
        JavaProcess run = new JavaProcess(KernelThreads.class);
        run.options.add("-Ddolly4j.threads=3");
        assertThat(run.output()).contains("threads 3");

        for (String wrong : List.of("0", "-1", "many")) {
            JavaProcess refused = new JavaProcess(KernelThreads.class);
            refused.options.add("-Ddolly4j.threads=" + wrong);
            assertThat(refused.output()).contains("dolly4j.threads must be a number of 1 or more, not '" + wrong + "'");
        }
    }

    @Test
    void threads_areNoMoreThanTheControlGroupGivesTimeFor() throws Exception {
        JavaProcess run = new JavaProcess(KernelThreads.class);
        run.options.add("-XX:ActiveProcessorCount=1"); // as Java counts them where there is a quota
        assertThat(run.output()).contains("threads 1");
    }

    @Test
    void threads_areNoMoreThanTheCoresThatTheProcessMayUse() throws Exception {
        assumeThat(Path.of("/usr/bin/taskset")).exists();
        JavaProcess run = new JavaProcess(KernelThreads.class);
        run.launcher.addAll(List.of("/usr/bin/taskset", "--cpu-list", firstCpu()));
        run.options.add("-XX:ActiveProcessorCount=8"); // Java would count right too
        assertThat(run.output()).contains("threads 1");
    }

    @Test
    void affinity_bindsEachThreadOfThePoolToACpu() throws Exception {
        assumeThat(Runtime.getRuntime().availableProcessors()).isGreaterThan(1);
        for (boolean bound : new boolean[] {true, false}) {
            JavaProcess run = new JavaProcess(KernelThreads.class);
            run.options.addAll(List.of("-Ddolly4j.threads=2", "-Ddolly4j.affinity=" + bound));
            assertThat(run.output().lines().filter(line -> line.startsWith("cpus ")))
                    .singleElement()
                    .asString()
                    .matches(bound ? "cpus [0-9]+" : "cpus [0-9]+[-,].*");
        }
    }

    /** Prints the instruction set of the kernels, and logits of a model in bfloat16; portable if so told. */
    static final class Logits {
        public static void main(String[] arguments) throws Exception {
            boolean portable = Boolean.parseBoolean(arguments[0]);
            List<SlotRows> rows = TinyModel.temporary(Backend.KERNELS).rows();
            ModelOptions options = new ModelOptions(WeightType.BFLOAT16, Backend.KERNELS, "cpu", 1, portable);
            try (DecoderModel model = DecoderModel.load(TinyModel.SPEC, rows, options)) {
                float[] logits = new SequenceDecoder(model).logits(new int[] {1, 2, 3}, 1);
                System.out.println(BuildInfo.current().cpuIsa() + " " + Arrays.hashCode(logits));
            }
        }

        static String with(String isa, boolean portable) throws Exception {
            JavaProcess run = new JavaProcess(Logits.class, String.valueOf(portable));
            run.environment.put("DOLLY4J_ISA", isa);
            return run.output();
        }
    }

    @Test
    void instructionSets_areThoseForced_andOfTheBitsThatAreSaid() throws Exception {
        Map<Boolean, Set<String>> bits = new HashMap<>();
        List<String> refused = new ArrayList<>();
        for (String isa : List.of("generic", "avx2", "avx512", "avx512_bf16", "amx")) {
            for (boolean portable : new boolean[] {false, true}) {
                String output = Logits.with(isa, portable);
                if (output.startsWith(isa + " ")) {
                    boolean tiles = portable || isa.equals("amx");
                    bits.computeIfAbsent(tiles, order -> new HashSet<>())
                            .add(output.strip().split(" ", 2)[1]);
                } else {
                    assertThat(output)
                            .contains("DOLLY4J_ISA names an instruction set this CPU does not have, '" + isa + "'");
                    refused.add(isa);
                }
            }
        }

        assertThat(refused).doesNotContain("generic");
        assertThat(bits.get(false)).as("of pairs").hasSize(1);
        assertThat(bits.get(true)).as("of tiles").hasSize(1).isNotEqualTo(bits.get(false));
        assertThat(Logits.with("avx3", false)).contains("DOLLY4J_ISA names an unknown instruction set, 'avx3'");
    }

    /** A CPU that this process may use. */
    private static String firstCpu() throws IOException {
        Matcher cpus = Pattern.compile("Cpus_allowed_list:\\s*([0-9]+)")
                .matcher(Files.readString(Path.of("/proc/self/status")));
        assertThat(cpus.find()).isTrue();
        return cpus.group(1);
    }
}
