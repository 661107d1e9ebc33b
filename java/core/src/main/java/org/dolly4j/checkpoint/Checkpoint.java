package org.dolly4j.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;

/**
 * A model folder in the layout of Hugging Face: its configuration, and where each of its tensors lies. Only headers are
 * read, so opening takes milliseconds and little memory however large the weights are; nothing in the folder is run.
 * Immutable.
 *
 * @param folder the folder
 * @param format how it holds the weights
 * @param config config.json
 * @param generationConfig generation_config.json, or what config.json states in its place if there is none
 * @param tensors location of every tensor by name, in the files' order
 */
public record Checkpoint(
        Path folder,
        WeightFormat format,
        ConfigValues config,
        GenerationConfig generationConfig,
        Map<String, TensorLocation> tensors) {
    private static final String CONFIG = "config.json";
    private static final String GENERATION_CONFIG = "generation_config.json";

    /** Copies the map. */
    public Checkpoint {
        tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }

    /**
     * Opens a model folder.
     *
     * @throws CheckpointException if the folder, config.json or the weights are missing, damaged, hostile or in a
     *     format that is not supported; the message names the file, the tensor or key, and what to do
     */
    public static Checkpoint open(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new CheckpointException(folder + ": is not a folder. A model folder with config.json is expected.");
        }
        if (!Files.exists(folder.resolve(CONFIG))) {
            throw new CheckpointException(
                    folder + ": has no config.json, so it is no model folder; it holds " + fileNames(folder) + ".");
        }
        ConfigValues config = ConfigValues.read(folder.resolve(CONFIG));
        Path generation = folder.resolve(GENERATION_CONFIG);
        GenerationConfig generationConfig =
                GenerationConfig.of(Files.exists(generation) ? ConfigValues.read(generation) : config);
        WeightFormat format = WeightFormat.of(folder).orElseThrow(() -> noWeights(folder));
        return new Checkpoint(folder, format, config, generationConfig, format.read(folder));
    }

    /** Whether there are weights in a folder, or an index of some. */
    public static boolean hasWeights(Path folder) {
        return WeightFormat.of(folder).isPresent();
    }

    /**
     * The floating-point type that most bytes of the weights are stored in, whatever config.json claims.
     *
     * @throws CheckpointException if no tensor is of a floating-point type
     */
    public DType weightDType() {
        Map<DType, Long> bytes = new EnumMap<>(DType.class);
        for (TensorLocation tensor : tensors.values()) {
            if (tensor.dtype().isFloating()) {
                bytes.merge(tensor.dtype(), tensor.length(), Long::sum);
            }
        }
        return bytes.entrySet().stream()
                .max(Comparator.comparingLong(Map.Entry::getValue))
                .map(Map.Entry::getKey)
                .orElseThrow(() -> CheckpointFile.error(
                        folder.resolve(format.fileName()), "has no tensor of a floating-point type."));
    }

    private static CheckpointException noWeights(Path folder) {
        String expected =
                Arrays.stream(WeightFormat.values()).map(WeightFormat::fileName).collect(Collectors.joining(", "));
        return CheckpointFile.error(
                folder, "has no weights: expected one of %s; it holds %s.", expected, fileNames(folder));
    }

    private static String fileNames(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            String names = files.limit(20)
                    .map(file -> file.getFileName().toString())
                    .sorted()
                    .collect(Collectors.joining(", "));
            return names.isEmpty() ? "nothing" : names;
        } catch (IOException e) {
            throw new CheckpointException(folder + ": can't be read: " + e, e);
        }
    }
}
