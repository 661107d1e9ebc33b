package org.dolly4j.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;
import org.dolly4j.checkpoint.SafetensorsWriter;

/** Writes tensors to their places in a file, several at a time, each piece by piece. */
final class TensorWriter {
    private static final int PIECE_BYTES = 4 << 20;

    private final int threads;

    /** @param threads tensors written at a time */
    TensorWriter(int threads) {
        this.threads = threads;
    }

    /**
     * Writes all tensors as safetensors.
     *
     * @param folder to be given the files
     * @param files how many of about equal size there are; one more or less where tensors are large
     */
    void writeSafetensors(Path folder, List<TensorRule> tensors, int files) throws IOException {
        long total = tensors.stream().mapToLong(TensorRule::bytes).sum();
        new SafetensorsWriter(
                        tensors.stream()
                                .map(tensor ->
                                        new SafetensorsWriter.Tensor(tensor.name(), tensor.dtype(), tensor.shape()))
                                .toList(),
                        (total + files - 1) / files)
                .write(folder, (file, offsets) -> {
                    List<TensorRule> inFile = tensors.stream()
                            .filter(tensor -> offsets.containsKey(tensor.name()))
                            .toList();
                    write(
                            file,
                            inFile,
                            inFile.stream()
                                    .mapToLong(tensor -> offsets.get(tensor.name()))
                                    .toArray());
                });
    }

    /**
     * Writes all tensors.
     *
     * @param offsets first byte of each tensor in the file
     * @return CRC-32 of each tensor's bytes
     */
    long[] write(FileChannel file, List<TensorRule> tensors, long[] offsets) throws IOException {
        long[] checksums = new long[tensors.size()];
        AtomicInteger next = new AtomicInteger();
        Callable<Void> worker = () -> {
            ByteBuffer piece = ByteBuffer.allocateDirect(PIECE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = next.getAndIncrement(); i < tensors.size(); i = next.getAndIncrement()) {
                checksums[i] = write(file, tensors.get(i), offsets[i], piece);
            }
            return null;
        };
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            List<Future<Void>> workers = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                workers.add(pool.submit(worker));
            }
            for (Future<Void> done : workers) {
                done.get();
            }
        } catch (ExecutionException e) {
            throw new IOException("Writing the tensors failed: " + e.getCause(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("Interrupted while writing the tensors.", e);
        } finally {
            pool.shutdownNow();
        }
        return checksums;
    }

    private static long write(FileChannel file, TensorRule tensor, long offset, ByteBuffer piece) throws IOException {
        CRC32 checksum = new CRC32();
        for (long at = 0; at < tensor.bytes(); at += PIECE_BYTES) {
            piece.clear().limit((int) Math.min(PIECE_BYTES, tensor.bytes() - at));
            tensor.content().fill(piece, at / tensor.dtype().bytes());
            checksum.update(piece.flip());
            writeAll(file, piece.rewind(), offset + at);
        }
        return checksum.getValue();
    }

    /** Writes the whole buffer at a place in the file. */
    static void writeAll(FileChannel file, ByteBuffer bytes, long offset) throws IOException {
        long position = offset;
        while (bytes.hasRemaining()) {
            position += file.write(bytes, position);
        }
    }
}
