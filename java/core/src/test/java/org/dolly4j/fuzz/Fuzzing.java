package org.dolly4j.fuzz;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Runs Jazzer, a fuzzer that is led by coverage, on a target in a process of its own: with the limits that loading any
 * file keeps to, and from the inputs that are kept in {@code src/test/resources/fuzz}.
 */
final class Fuzzing {
    /** Seconds for any input. */
    private static final int TIMEOUT = 10;

    private static final int HEAP_MB = 512;

    /** With what the fuzzer keeps itself, which is some 250 MB, at times twice that. */
    private static final int RESIDENT_MB = 1536;

    /** An input larger than this tells nothing that a small one does not. */
    private static final int MAX_KEPT_BYTES = 8 << 10;

    private static final Path KEPT = Path.of("src/test/resources/fuzz");
    private static final Pattern EXECUTIONS = Pattern.compile("stat::number_of_executed_units: +([0-9]+)");
    private static final Pattern COVERAGE = Pattern.compile(" cov: ([0-9]+) ");

    private final Class<?> target;
    private final int maxBytes;
    private final Path folder;

    /**
     * @param maxBytes most bytes of an input
     * @param folder for the corpus and what is found
     */
    Fuzzing(Class<?> target, int maxBytes, Path folder) {
        this.target = target;
        this.maxBytes = maxBytes;
        this.folder = folder;
    }

    /**
     * What came of a run.
     *
     * @param inputs kept inputs that it began with
     * @param executions inputs run
     * @param coverage places of the code reached
     * @param output what the fuzzer printed, with what it found
     */
    record Outcome(String target, int inputs, long executions, int coverage, boolean failed, String output) {
        @Override
        public String toString() {
            return "%s: %,d executions from %d kept inputs, %d places reached, %s"
                    .formatted(target, executions, inputs, coverage, failed ? "failed" : "no failure");
        }
    }

    private String name() {
        return target.getSimpleName();
    }

    private Path corpus() {
        return folder.resolve(name());
    }

    private Path kept() {
        return KEPT.resolve(name() + ".zip");
    }

    /** Fuzzes for some time. */
    Outcome run(int seconds) throws IOException, InterruptedException {
        int inputs = unpack();
        return fuzz(inputs, List.of("-max_total_time=" + seconds, corpus().toString()));
    }

    private Outcome fuzz(int inputs, List<String> arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx" + HEAP_MB + "m",
                "-cp",
                System.getProperty("java.class.path"),
                "com.code_intelligence.jazzer.Jazzer",
                "--target_class=" + target.getName(),
                "--instrumentation_includes=org.dolly4j.**",
                "-timeout=" + TIMEOUT,
                "-rss_limit_mb=" + RESIDENT_MB,
                "-max_len=" + maxBytes,
                "-print_final_stats=1",
                "-artifact_prefix=" + folder + "/"));
        command.addAll(arguments);
        Path log = folder.resolve(name() + ".log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            process.waitFor();
        } finally {
            process.destroyForcibly().waitFor(1, TimeUnit.MINUTES);
        }
        String output = new String(Files.readAllBytes(log), StandardCharsets.ISO_8859_1);
        return new Outcome(
                name(),
                inputs,
                last(EXECUTIONS, output),
                (int) last(COVERAGE, output),
                process.exitValue() != 0,
                output);
    }

    private static long last(Pattern number, String output) {
        long last = 0;
        Matcher matcher = number.matcher(output);
        while (matcher.find()) {
            last = Long.parseLong(matcher.group(1));
        }
        return last;
    }

    private int unpack() throws IOException {
        Files.createDirectories(corpus());
        try (FileSystem zip = FileSystems.newFileSystem(kept(), Map.of());
                Stream<Path> files = Files.list(zip.getPath("/"))) {
            List<Path> all = files.toList();
            for (Path file : all) {
                Files.copy(file, corpus().resolve(file.getFileName().toString()));
            }
            return all.size();
        }
    }

    /** Keeps of the corpus the inputs that reach most, and no others. */
    private int keep() throws IOException, InterruptedException {
        Path merged = Files.createDirectories(folder.resolve(name() + "-merged"));
        Outcome outcome = fuzz(0, List.of("-merge=1", merged.toString(), corpus().toString()));
        List<Path> inputs;
        try (Stream<Path> files = Files.list(merged)) {
            inputs = files.filter(file -> file.toFile().length() <= MAX_KEPT_BYTES)
                    .sorted()
                    .toList();
        }
        if (outcome.failed || inputs.isEmpty()) {
            throw new IOException("cannot be merged: " + outcome.output);
        }
        try (OutputStream out = Files.newOutputStream(kept());
                ZipOutputStream zip = new ZipOutputStream(out)) {
            for (Path input : inputs) {
                ZipEntry entry = new ZipEntry(input.getFileName().toString());
                entry.setTime(0); // the same inputs are the same file
                zip.putNextEntry(entry);
                zip.write(Files.readAllBytes(input));
                zip.closeEntry();
            }
        }
        return inputs.size();
    }

    /**
     * Runs a longer campaign: {@code bench/fuzz.sh SECONDS [TARGET...]}, and keeps the inputs that it found worth it.
     */
    public static void main(String[] args) throws IOException, InterruptedException {
        int seconds = Integer.parseInt(args[0]);
        List<String> names = List.of(args).subList(1, args.length);
        boolean failed = false;
        for (Map.Entry<Class<?>, Integer> target : FuzzTest.TARGETS.entrySet()) {
            if (names.isEmpty() || names.contains(target.getKey().getSimpleName())) {
                Path folder = Files.createTempDirectory("dolly4j-fuzzing");
                Fuzzing fuzzing = new Fuzzing(target.getKey(), target.getValue(), folder);
                Outcome outcome = fuzzing.run(seconds);
                System.out.println(outcome);
                if (outcome.failed) {
                    System.out.println(outcome.output.substring(Math.max(0, outcome.output.length() - 5000)));
                    System.out.println("The input is in " + folder);
                    failed = true;
                } else {
                    System.out.println("kept " + fuzzing.keep() + " inputs in " + fuzzing.kept());
                }
            }
        }
        System.exit(failed ? 1 : 0);
    }
}
