package org.dolly4j.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

/** How a model folder holds its weights, in the order in which Hugging Face looks for them. */
public enum WeightFormat {
    SAFETENSORS("model.safetensors"),
    /** Several safetensors files and an index. */
    SAFETENSORS_SHARDED("model.safetensors.index.json"),
    /** One file of {@code torch.save}. */
    BIN("pytorch_model.bin"),
    /** Several files of {@code torch.save} and an index. */
    BIN_SHARDED("pytorch_model.bin.index.json");

    private final String fileName;

    WeightFormat(String fileName) {
        this.fileName = fileName;
    }

    /** Name of the file that is there exactly if the weights are in this format. */
    public String fileName() {
        return fileName;
    }

    /** The format of the weights in a folder, the first if there are several. */
    static Optional<WeightFormat> of(Path folder) {
        return Arrays.stream(values())
                .filter(format -> Files.exists(folder.resolve(format.fileName)))
                .findFirst();
    }

    /** Locates the tensors of a folder with weights in this format. */
    Map<String, TensorLocation> read(Path folder) {
        Path path = folder.resolve(fileName);
        return switch (this) {
            case SAFETENSORS -> Safetensors.read(path);
            case SAFETENSORS_SHARDED -> ShardIndex.read(path, ".safetensors", Safetensors::read);
            case BIN -> TorchFile.read(path);
            case BIN_SHARDED -> ShardIndex.read(path, ".bin", TorchFile::read);
        };
    }
}
