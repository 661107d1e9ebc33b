package org.dolly4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads the elements of tensors in row-major order, wherever they lie in their files, piece by piece: the memory for it
 * is the same for every size. Of a transposed matrix a piece is some of its rows, for which every column of the file is
 * read in one go.
 */
final class TensorReader {
    /** Enough for reads and writes at the disk's full speed. */
    static final int PIECE_BYTES = 8 << 20;

    /** Elements at least so far apart are read one by one; of what lies closer, also what is between. */
    private static final int FAR_BYTES = 4096;

    private static final int LINE_BYTES = 1 << 20;

    private final ByteBuffer piece = ByteBuffer.allocateDirect(PIECE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private final ByteBuffer line = ByteBuffer.allocateDirect(LINE_BYTES).order(ByteOrder.LITTLE_ENDIAN);

    /** Takes the next elements of a tensor. */
    @FunctionalInterface
    interface Sink {
        /**
         * Takes some of them.
         *
         * @param elements little-endian, of the tensor's type; to be used before this returns
         */
        void accept(ByteBuffer elements) throws IOException;
    }

    /** Sizes and strides of a dimension, in elements. */
    private record Dimension(long size, long stride) {}

    /**
     * Hands out all elements of a tensor in order.
     *
     * @param mostElements of a piece, if fewer than fit
     * @throws IOException if the file can't be read, or by the sink
     * @throws org.dolly4j.CheckpointException if the file became shorter
     */
    void read(TensorLocation tensor, int mostElements, Sink sink) throws IOException {
        if (tensor.elements() == 0) {
            return;
        }
        try (FileChannel file = FileChannel.open(tensor.path(), StandardOpenOption.READ)) {
            new Reading(tensor, file)
                    .all(Math.min(mostElements, PIECE_BYTES / tensor.dtype().bytes()), sink);
        }
    }

    /** The dimensions of a tensor, those that follow each other without gaps as one. */
    private static List<Dimension> merged(TensorLocation tensor) {
        List<Dimension> merged = new ArrayList<>();
        for (int d = 0; d < tensor.shape().size(); d++) {
            long size = tensor.shape().get(d);
            long stride = tensor.strides().get(d);
            int last = merged.size() - 1;
            if (size == 1) {
                continue;
            }
            if (last >= 0 && merged.get(last).stride == size * stride) {
                merged.set(last, new Dimension(merged.get(last).size * size, stride));
            } else {
                merged.add(new Dimension(size, stride));
            }
        }
        return merged.isEmpty() ? List.of(new Dimension(1, 1)) : merged;
    }

    /** One tensor while it is read. */
    private final class Reading {
        private final TensorLocation tensor;
        private final FileChannel file;
        private final int elementBytes;

        Reading(TensorLocation tensor, FileChannel file) {
            this.tensor = tensor;
            this.file = file;
            this.elementBytes = tensor.dtype().bytes();
        }

        /** Cuts the tensor along one dimension, inside of which all fits into a piece. */
        void all(int capacity, Sink sink) throws IOException {
            List<Dimension> dimensions = merged(tensor);
            int cut = dimensions.size() - 1;
            long inner = 1;
            while (cut > 0 && inner * dimensions.get(cut).size <= capacity) {
                inner *= dimensions.get(cut).size;
                cut--;
            }
            pieces(dimensions, 0, cut, (int) (capacity / inner), 0, sink);
        }

        private void pieces(List<Dimension> dimensions, int d, int cut, int most, long first, Sink sink)
                throws IOException {
            Dimension dimension = dimensions.get(d);
            if (d < cut) {
                for (long i = 0; i < dimension.size; i++) {
                    pieces(dimensions, d + 1, cut, most, first + i * dimension.stride, sink);
                }
                return;
            }
            for (long i = 0; i < dimension.size; i += most) {
                List<Dimension> tile = new ArrayList<>(dimensions.subList(cut, dimensions.size()));
                tile.set(0, new Dimension(Math.min(most, dimension.size - i), dimension.stride));
                piece.clear();
                gather(tile, first + i * dimension.stride);
                sink.accept(piece.flip());
            }
        }

        /** Reads a piece along the dimension whose elements lie closest together in the file. */
        private void gather(List<Dimension> tile, long first) throws IOException {
            int closest = tile.size() - 1;
            for (int d = 0; d < tile.size(); d++) {
                boolean closer = tile.get(closest).stride == 0 || tile.get(d).stride < tile.get(closest).stride;
                if (tile.get(d).size > 1 && tile.get(d).stride > 0 && closer) {
                    closest = d;
                }
            }
            lines(tile, 0, closest, first, 0, 1);
            piece.position(elementBytes * (int) product(tile, 0));
        }

        private static long product(List<Dimension> dimensions, int from) {
            long product = 1;
            for (Dimension dimension : dimensions.subList(from, dimensions.size())) {
                product *= dimension.size;
            }
            return product;
        }

        /**
         * Reads all lines of a tile along one of its dimensions.
         *
         * @param d dimensions before it have been chosen an index in
         * @param along the dimension of the lines
         * @param source where they begin in the tensor
         * @param target where they go in the piece
         * @param step how far apart their elements are there, once d is beyond {@code along}
         */
        private void lines(List<Dimension> tile, int d, int along, long source, int target, int step)
                throws IOException {
            if (d == tile.size()) {
                line(tile.get(along), source, target, step);
                return;
            }
            int stepHere = (int) product(tile, d + 1);
            if (d == along) {
                lines(tile, d + 1, along, source, target, stepHere);
                return;
            }
            Dimension dimension = tile.get(d);
            for (int i = 0; i < dimension.size; i++) {
                lines(tile, d + 1, along, source + i * dimension.stride, target + i * stepHere, step);
            }
        }

        private void line(Dimension along, long source, int target, int step) throws IOException {
            if (along.stride == 1 && step == 1) {
                fill(piece.slice(target * elementBytes, (int) along.size * elementBytes), source);
                return;
            }
            int most = along.stride >= FAR_BYTES / elementBytes
                    ? 1
                    : along.stride == 0 ? (int) along.size : (int) ((LINE_BYTES / elementBytes - 1) / along.stride) + 1;
            for (int i = 0; i < along.size; i += most) {
                int count = (int) Math.min(most, along.size - i);
                line.clear().limit((int) ((count - 1) * along.stride + 1) * elementBytes);
                fill(line, source + i * along.stride);
                scatter(count, (int) along.stride, target + i * step, step);
            }
        }

        private void scatter(int count, int stride, int target, int step) {
            for (int i = 0; i < count; i++) {
                int from = i * stride * elementBytes;
                int to = (target + i * step) * elementBytes;
                switch (elementBytes) {
                    case Short.BYTES -> piece.putShort(to, line.getShort(from));
                    case Integer.BYTES -> piece.putInt(to, line.getInt(from));
                    default -> piece.put(to, line, from, elementBytes);
                }
            }
        }

        /** Fills a buffer from an element of the tensor on. */
        private void fill(ByteBuffer buffer, long element) throws IOException {
            long start = tensor.offset() + element * elementBytes;
            while (buffer.hasRemaining()) {
                if (file.read(buffer, start + buffer.position()) < 0) {
                    throw CheckpointFile.error(
                            tensor.path(), "became shorter while tensor '%s' was read.", tensor.name());
                }
            }
        }
    }
}
