package org.dolly4j.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.GenerationRequest;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Loading of the native library in the ways of real processes; each in a JVM of its own. */
class NativeLoadingTest {
    private static final Path JAVA = Path.of(System.getProperty("java.home"), "bin", "java");

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

    @Test
    void withAHomeThatCannotBeWritten_itIsExtractedElsewhere() throws Exception {
        Path temporary = Files.createDirectory(folder.resolve("temporary"));
        assertThat(run(
                        classPathWithJar(folder),
                        PrintVersion.class,
                        "-Duser.home=/proc/none",
                        "-Djava.io.tmpdir=" + temporary))
                .contains("native 0.");
        assertThat(extractedLibraries(temporary)).isNotEmpty();
    }

    @Test
    void withAFolderOfTheUsersChoice_itIsExtractedThere() throws Exception {
        Path chosen = folder.resolve("chosen");
        assertThat(run(classPathWithJar(folder), PrintVersion.class, "-Ddolly4j.native.dir=" + chosen))
                .contains("native 0.");
        assertThat(extractedLibraries(chosen)).isNotEmpty();
    }

    @Test
    void fromTwoClassLoaders_itLoadsTwice() throws Exception {
        assertThat(run(TwoClassLoaders.class)).contains("loader 0", "loader 1").contains("libtorchAttached=true");
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
        assertThat(run(classPathWithoutLibtorch(), Answer.class)).contains("The capital of Thailand is Bangkok.");
    }

    @Test
    void withoutLibtorchOnTheClassPath_itsBackendNamesTheArtifactToAdd() throws Exception {
        String output = run(classPathWithoutLibtorch(), List.of("LIBTORCH"), Answer.class);
        assertThat(output).contains("BackendException", "org.dolly4j:dolly4j-libtorch");
    }

    private static String classPathWithoutLibtorch() {
        String separator = System.getProperty("path.separator");
        return Arrays.stream(System.getProperty("java.class.path").split(separator, -1))
                .filter(entry -> !entry.contains("pytorch") && !entry.contains("openblas"))
                .collect(Collectors.joining(separator));
    }

    @Test
    void libtorchFromAFolderWithoutIt_namesTheFolder() throws Exception {
        String output = run(TwoClassLoaders.class, "-Ddolly4j.libtorch=" + folder);
        assertThat(output).contains("BackendException", folder.toString(), "libtorch_cpu.so");
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

    /** Output of a main class in a JVM of its own, errors included. */
    private static String run(Class<?> main, String... options) throws IOException, InterruptedException {
        return run(System.getProperty("java.class.path"), main, options);
    }

    private static String run(String classPath, Class<?> main, String... options)
            throws IOException, InterruptedException {
        return run(classPath, List.of(), main, options);
    }

    private static String run(String classPath, List<String> arguments, Class<?> main, String... options)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(JAVA.toString(), "-cp", classPath));
        command.addAll(Arrays.asList(options));
        command.add(main.getName());
        command.addAll(arguments);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try (InputStream output = process.getInputStream()) {
            String text = new String(output.readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            return text;
        }
    }
}
