package org.dolly4j.checkpoint;

import java.nio.file.Path;
import java.util.Map;
import org.dolly4j.CheckpointException;

/** Reads a file of {@code torch.save} in either of its formats: {@code pytorch_model.bin} or a part of it. */
final class TorchFile {
    private static final byte[] ZIP_MAGIC = {'P', 'K', 3, 4};

    private TorchFile() {}

    /**
     * Locates the tensors of a file; no tensor is read and nothing in the file is run.
     *
     * @return tensors by name, in the file's order, unmodifiable
     * @throws CheckpointException if the file is damaged, compressed, of another format, or wants to run code
     */
    static Map<String, TensorLocation> read(Path path) {
        try (CheckpointFile file = CheckpointFile.open(path)) {
            if (file.startsWith(ZIP_MAGIC)) {
                return TorchZip.read(file);
            }
            if (file.startsWith(TorchLegacy.MAGIC)) {
                return TorchLegacy.read(file);
            }
            throw file.error("is not a file that torch.save writes: it begins neither as a zip file nor with the magic "
                    + "number of PyTorch before 1.6. Delete the file and load again.");
        }
    }
}
