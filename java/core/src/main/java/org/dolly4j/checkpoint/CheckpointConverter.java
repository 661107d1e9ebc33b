package org.dolly4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.dolly4j.CheckpointException;
import org.dolly4j.DollyException;

/**
 * Writes a model folder anew, with its weights in safetensors, as Hugging Face's {@code save_pretrained} does: every
 * tensor on its own and without gaps, however it lay in the source. Weights go through buffers of some 20 MB,
 * whatever their size. Programs in the folder are neither run nor copied.
 */
public final class CheckpointConverter {
    /** Most bytes of weights in a file unless told otherwise, as in transformers 5. */
    public static final long DEFAULT_MAX_SHARD_BYTES = 50_000_000_000L;

    /** Bytes that are left free on the disk. */
    private static final long SPARE_BYTES = 64 << 20;

    private final Checkpoint source;
    private final Optional<DType> dtype;
    private final List<TensorLocation> tensors;
    private final SafetensorsWriter writer;
    private final FreeBytes freeBytes;

    /** Tells how many bytes may be written to the disk that a folder is on. */
    @FunctionalInterface
    interface FreeBytes {
        long of(Path folder) throws IOException;
    }

    /** Hears how far it is. */
    @FunctionalInterface
    public interface Progress {
        /**
         * Called after every few megabytes; an exception ends the conversion, and nothing is left of it.
         *
         * @param bytes of weights that are written
         * @param total of all weights
         */
        void written(long bytes, long total);
    }

    /**
     * What became of a folder.
     *
     * @param folder the new one
     * @param weightFiles names of its files with weights, the index left out
     * @param tensors how many they hold
     * @param bytes of them
     * @param copied names of the other files that it was given
     * @param notCopied names of what was left behind: programs, folders, links that lead elsewhere, unknown files
     */
    public record Result(
            Path folder,
            List<String> weightFiles,
            int tensors,
            long bytes,
            List<String> copied,
            List<String> notCopied) {
        /** Copies the lists. */
        public Result {
            weightFiles = List.copyOf(weightFiles);
            copied = List.copyOf(copied);
            notCopied = List.copyOf(notCopied);
        }
    }

    /**
     * Plans a conversion; nothing is written.
     *
     * @param source the model folder
     * @param leftOut names of tensors that the new folder is not to have
     * @param dtype type of all floating-point tensors in the new folder, FLOAT32, FLOAT16 or BFLOAT16; none keeps that
     *     of each. Other tensors keep theirs. Numbers are rounded to nearest, of two equally near to even, as by
     *     PyTorch's {@code tensor.to(dtype)}
     * @param maxShardBytes most bytes of weights in a file, but for a tensor that is larger alone
     * @throws IllegalArgumentException if the type is another one, or {@code maxShardBytes} not positive
     * @throws CheckpointException if no tensor is left, or all together are larger than any file
     */
    public CheckpointConverter(Checkpoint source, Set<String> leftOut, Optional<DType> dtype, long maxShardBytes) {
        this(source, leftOut, dtype, maxShardBytes, folder -> Files.getFileStore(folder)
                .getUsableSpace());
    }

    CheckpointConverter(
            Checkpoint source, Set<String> leftOut, Optional<DType> dtype, long maxShardBytes, FreeBytes freeBytes) {
        dtype.ifPresent(type -> {
            if (!type.isFloating() || type == DType.FLOAT64) {
                throw new IllegalArgumentException("dtype must be FLOAT32, FLOAT16 or BFLOAT16, not " + type + ".");
            }
        });
        if (maxShardBytes < 1) {
            throw new IllegalArgumentException("maxShardBytes must be 1 or more, not " + maxShardBytes + ".");
        }
        this.source = source;
        this.dtype = dtype;
        this.freeBytes = freeBytes;
        tensors = source.tensors().values().stream()
                .filter(tensor -> !leftOut.contains(tensor.name()))
                .toList();
        if (tensors.isEmpty()) {
            throw new CheckpointException(source.folder() + ": has no tensor that is to be kept.");
        }
        try {
            writer = new SafetensorsWriter(
                    tensors.stream()
                            .map(tensor ->
                                    new SafetensorsWriter.Tensor(tensor.name(), targetType(tensor), tensor.shape()))
                            .toList(),
                    maxShardBytes);
        } catch (ArithmeticException e) {
            throw new CheckpointException(source.folder() + ": its tensors are too large for any file.", e);
        }
    }

    private DType targetType(TensorLocation tensor) {
        return tensor.dtype().isFloating() ? dtype.orElse(tensor.dtype()) : tensor.dtype();
    }

    /**
     * Writes the new folder, which appears once all of it is on the disk. A conversion that fails leaves nothing; one
     * that is killed leaves a hidden folder beside it, without a config.json until the weights are complete, which the
     * next conversion to the same place deletes.
     *
     * @param folder where: there is nothing yet, or an empty folder
     * @throws CheckpointException if the source is damaged, or changed meanwhile
     * @throws DollyException if there is something already, another process writes it, or the disk has too little room
     */
    public Result convertTo(Path folder, Progress progress) {
        try {
            CompanionFiles companions = CompanionFiles.in(source.folder());
            try (NewFolder target = NewFolder.begin(folder)) {
                requireRoom(target.part(), writer.bytes(), companions.bytes());
                writeWeights(target.part(), progress);
                companions.copyTo(target.part());
                writeConfig(target.part());
                target.complete();
            }
            return new Result(
                    folder,
                    writer.fileNames(),
                    tensors.size(),
                    writer.bytes(),
                    names(companions.copied()),
                    names(companions.others()));
        } catch (IOException e) {
            throw new DollyException(
                    folder + " cannot be made of " + source.folder() + ": "
                            + (e instanceof FileSystemException
                                    ? e.getClass().getSimpleName() + ": " + e.getMessage()
                                    : e.getMessage()),
                    e);
        }
    }

    private static List<String> names(List<Path> files) {
        return files.stream().map(file -> file.getFileName().toString()).toList();
    }

    private void requireRoom(Path folder, long bytes, long companionBytes) throws IOException {
        long free = freeBytes.of(folder);
        if (free - SPARE_BYTES - companionBytes < bytes) { // no sum of sizes that a file only claims
            throw new DollyException(String.format(
                    Locale.ROOT,
                    "The new files take %,d bytes, but the disk of %s has %,d free, of which %,d are left alone."
                            + " Choose another folder, or a smaller type.",
                    bytes,
                    folder.getParent(),
                    free,
                    SPARE_BYTES));
        }
    }

    private void writeWeights(Path folder, Progress progress) throws IOException {
        Copying copying = new Copying(progress);
        Map<String, TensorLocation> byName = source.tensors();
        writer.write(folder, (file, offsets) -> {
            for (Map.Entry<String, Long> entry : offsets.entrySet()) {
                copying.copy(byName.get(entry.getKey()), file, entry.getValue());
            }
        });
    }

    /** config.json comes last: a folder without it is no model. */
    private void writeConfig(Path folder) throws IOException {
        Path config = source.config().file();
        byte[] bytes = dtype.isPresent()
                ? source.config().withDType(dtype.get()).getBytes(StandardCharsets.UTF_8)
                : Files.readAllBytes(config);
        try (FileChannel file = FileChannel.open(
                folder.resolve(config.getFileName()), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            SafetensorsWriter.writeAll(file, ByteBuffer.wrap(bytes), 0);
            file.force(true);
        }
    }

    /** Copies tensors one after the other through the same buffers. */
    private final class Copying {
        private final TensorReader reader = new TensorReader();
        private final ByteBuffer converted =
                ByteBuffer.allocateDirect(TensorReader.PIECE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        private final Progress progress;
        private final long total;
        private long written;

        Copying(Progress progress) {
            this.progress = progress;
            long bytes = 0;
            for (TensorLocation tensor : tensors) {
                bytes += tensor.elements() * targetType(tensor).bytes();
            }
            total = bytes;
        }

        void copy(TensorLocation tensor, FileChannel file, long offset) throws IOException {
            DType type = targetType(tensor);
            long[] position = {offset};
            reader.read(tensor, TensorReader.PIECE_BYTES / type.bytes(), elements -> {
                ByteBuffer bytes = elements;
                if (type != tensor.dtype()) {
                    FloatConversion.convert(elements, tensor.dtype(), converted.clear(), type);
                    bytes = converted.flip();
                }
                int length = bytes.remaining();
                SafetensorsWriter.writeAll(file, bytes, position[0]);
                position[0] += length;
                written += length;
                progress.written(written, total);
            });
        }
    }
}
