package org.dolly4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dolly4j.checkpoint.DType;

/**
 * Writes a checkpoint of a published model's sizes with random weights, to load and time without a download. Weights
 * have the deviation of an untrained model unless told otherwise, so activations stay finite; the same options write
 * the same bytes.
 */
public final class RandomCheckpoint {
    private static final int SHARDS = 3;

    private static final List<String> OPTIONS =
            List.of("--shape", "--out", "--format", "--dtype", "--deviation", "--seed", "--tokenizer", "--threads");

    private static final List<String> TOKENIZER_FILES =
            List.of("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json");

    private static final String GENERATION_CONFIG =
            """
            {
              "_from_model_config": true,
              "bos_token_id": 0,
              "eos_token_id": 0,
              "transformers_version": "4.25.1"
            }
            """;

    /** How the weights are written. */
    enum Format {
        SAFETENSORS,
        SHARDED,
        BIN,
        SHARDED_BIN
    }

    private RandomCheckpoint() {}

    /** Runs the tool; exits with 2 and the usage if an option is wrong. */
    public static void main(String[] args) throws IOException {
        try {
            run(args);
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage());
            System.err.println();
            System.err.print(usage());
            System.exit(2);
        }
    }

    private static void run(String[] args) throws IOException {
        ToolOptions options = new ToolOptions(args, OPTIONS);
        ModelShape shape = options.choose("--shape", ModelShape.values(), ModelShape::label);
        Format format = options.choose("--format", Format.SAFETENSORS, Format.values(), ToolOptions::label);
        DType dtype = options.choose(
                "--dtype", DType.BFLOAT16, new DType[] {DType.BFLOAT16, DType.FLOAT32}, ToolOptions::label);
        double deviation = options.positive("--deviation", ModelShape.DEVIATION);
        long seed = options.number("--seed", 0, Long.MIN_VALUE);
        int cpus = Runtime.getRuntime().availableProcessors();
        int threads = (int) Math.min(options.number("--threads", cpus, 1), 256);
        Path folder = Path.of(options.required("--out"));
        Optional<Path> tokenizer = options.text("--tokenizer").map(Path::of);
        tokenizer.filter(from -> !Files.exists(from.resolve("tokenizer.json"))).ifPresent(from -> {
            throw new IllegalArgumentException("--tokenizer: " + from + " has no tokenizer.json.");
        });
        long start = System.nanoTime();
        write(folder, shape, format, dtype, deviation, seed, threads);
        double seconds = (System.nanoTime() - start) / 1e9;
        long bytes = sizeOf(folder);
        if (tokenizer.isPresent()) {
            copyTokenizer(tokenizer.get(), folder);
        }
        System.out.printf(
                Locale.ROOT, "%s: %,d bytes in %.1f s, %.0f MB/s%n", folder, bytes, seconds, bytes / seconds / 1e6);
    }

    /**
     * Writes a checkpoint without tokenizer files.
     *
     * @param folder made if missing, must be empty
     * @param dtype {@code BFLOAT16} or {@code FLOAT32}
     * @param deviation of the weights
     * @param threads tensors made at a time
     * @throws IllegalArgumentException if the folder holds files
     */
    static void write(
            Path folder, ModelShape shape, Format format, DType dtype, double deviation, long seed, int threads)
            throws IOException {
        Files.createDirectories(folder);
        try (Stream<Path> files = Files.list(folder)) {
            if (files.findAny().isPresent()) {
                throw new IllegalArgumentException(folder + " is not empty. Name a new folder.");
            }
        }
        Files.writeString(folder.resolve("config.json"), shape.config(dtype));
        Files.writeString(folder.resolve("generation_config.json"), GENERATION_CONFIG);
        List<TensorRule> tensors =
                shape.tensors(dtype, deviation, seed, format == Format.BIN || format == Format.SHARDED_BIN);
        TensorWriter writer = new TensorWriter(threads);
        switch (format) {
            case SAFETENSORS -> writer.writeSafetensors(folder, tensors, 1);
            case SHARDED -> writer.writeSafetensors(folder, tensors, SHARDS);
            case BIN -> new TorchZipWriter(writer).write(folder.resolve("pytorch_model.bin"), tensors);
            case SHARDED_BIN -> new TorchZipWriter(writer).writeSharded(folder, tensors, SHARDS);
        }
    }

    private static void copyTokenizer(Path from, Path to) throws IOException {
        for (String name : TOKENIZER_FILES) {
            if (Files.exists(from.resolve(name))) {
                Files.copy(from.resolve(name), to.resolve(name));
            }
        }
    }

    private static long sizeOf(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.mapToLong(file -> file.toFile().length()).sum();
        }
    }

    private static String usage() {
        String shapes =
                Arrays.stream(ModelShape.values()).map(ModelShape::label).collect(Collectors.joining(", "));
        return """
                Writes a GPT-NeoX checkpoint with random weights, in the file layout of databricks/dolly-v2-3b.

                usage: RandomCheckpoint --shape SHAPE --out DIR [options]

                  --shape SHAPE      SHAPES
                  --out DIR          folder to write to; made if missing, must be empty
                  --format FORMAT    safetensors (default), sharded (several safetensors files and an index),
                                     bin (one file as torch.save writes it, with the masks of the published ones),
                                     sharded_bin (several of these and an index)
                  --dtype TYPE       bfloat16 (default) or float32
                  --deviation X      of the weights (default 0.02); with about 1.4 / sqrt(hidden size) attention
                                     looks at few tokens, so that logits depend on the order of the tokens
                  --seed N           other weights for another N (default 0)
                  --tokenizer DIR    folder to copy tokenizer files from
                  --threads N        tensors made at a time (default: number of CPUs)
                """
                .replace("SHAPES", shapes);
    }
}
