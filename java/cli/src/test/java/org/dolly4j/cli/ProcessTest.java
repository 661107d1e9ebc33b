package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What only a process of its own shows: classes it loads, its end by a signal or a reader that goes away. */
class ProcessTest {
    private static final List<String> LONG_ANSWER =
            List.of("--seed", "1", "--min-new-tokens", "400", "--max-new-tokens", "440", "Write a poem about rain.");

    @Test
    void helpVersionAndTokenize_loadNoNativeCode() throws Exception {
        for (List<String> args : List.of(List.of("--help"), List.of("--version"), List.of("tokenize", "rain"))) {
            Process process = start(List.of("-Xlog:class+load"), args);
            String out = read(process.getInputStream());

            assertThat(process.waitFor()).isZero();
            assertThat(out)
                    .contains("org.dolly4j.cli.Main")
                    .doesNotContain("org.bytedeco", "org.dolly4j.runtime.NativeLibrary");
        }
    }

    @Test
    void textIsUtf8_whateverTheLocale() throws Exception {
        ProcessBuilder builder =
                builder(List.of("-Dfile.encoding=ISO-8859-1"), List.of("tokenize", "--decode", "129 104"));
        builder.environment().put("LC_ALL", "C");
        Process process = builder.start();

        assertThat(read(process.getInputStream())).isEqualTo("\u00e9\n");
    }

    @Test
    void signal_endsAGenerationQuicklyAndWithoutNoise() throws Exception {
        Process process = start(List.of(), LONG_ANSWER);
        int first = process.getInputStream().read();
        process.toHandle().destroy(); // Process.destroy would close the streams, too

        assertThat(first).isPositive();
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(143);
        assertThat(read(process.getErrorStream()).lines())
                .singleElement()
                .asString()
                .contains("demo model");
    }

    @Test
    void readerThatGoesAway_endsAGenerationQuietly() throws Exception {
        Process process = start(List.of(), LONG_ANSWER);
        int first = process.getInputStream().read();
        process.getInputStream().close();

        assertThat(first).isPositive();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(ErrorMessages.READER_GONE);
        assertThat(read(process.getErrorStream()).lines())
                .singleElement()
                .asString()
                .contains("demo model");
    }

    @Test
    void answersOfAFile_comeOneByOne() throws Exception {
        Process process = start(
                List.of(),
                List.of("--seed", "1", "--min-new-tokens", "400", "--max-new-tokens", "440", "--json", "--file", "-"));
        try (OutputStream prompts = process.getOutputStream()) {
            prompts.write("Write a poem about rain.\n".repeat(20).getBytes(StandardCharsets.UTF_8));
        }
        int first = process.getInputStream().read();
        process.toHandle().destroy();
        String rest = read(process.getInputStream());

        assertThat(first).isEqualTo('{');
        assertThat(rest.lines()).hasSizeBetween(1, 10);
    }

    private static Process start(List<String> javaOptions, List<String> args) throws IOException {
        return builder(javaOptions, args).start();
    }

    /** A run in a process of its own. */
    static ProcessBuilder builder(List<String> javaOptions, List<String> args) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(javaOptions);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(args);
        return new ProcessBuilder(command);
    }

    /** All that comes from a stream. */
    static String read(InputStream stream) throws IOException {
        return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
}
