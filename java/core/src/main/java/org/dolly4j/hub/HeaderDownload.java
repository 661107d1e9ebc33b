package org.dolly4j.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;

/**
 * Brings of a model's safetensors files what stands before the tensors, by ranges, and makes files of the true length of
 * it. They are sparse: the tensors take no space.
 */
final class HeaderDownload {
    /** Asked for at first; most headers are shorter. */
    private static final int FIRST_BYTES = 256 << 10;

    /** Bytes of a file that give the length of the rest of its header. */
    private static final int LENGTH_BYTES = 8;

    /** Most bytes of a header, as in Hugging Face's reader. */
    private static final int MAX_HEADER_BYTES = 100_000_000;

    private static final int MAX_INDEX_BYTES = 64 << 20;

    private final HubOptions options;
    private final HubClient client;
    private final RemoteRepository remote;

    HeaderDownload(HubOptions options, HubRepository repository) {
        this.options = options;
        client = new HubClient(options, repository);
        remote = new RemoteRepository(client, options, repository);
    }

    /**
     * Brings the headers, and the index if there is one.
     *
     * @param folder empty
     * @return whether there are any: weights in other formats have none
     * @throws TransferException if the hub cannot be reached
     * @throws org.dolly4j.HubException if it refuses
     * @throws UnavailableException if something else answers in its place
     * @throws RangesNotServedException if the server sends no parts of files
     * @throws IOException if the folder cannot be written
     */
    boolean run(Path folder) throws IOException, RangesNotServedException, InterruptedException {
        RepositoryListing listing = remote.list(new Retries(1, options.firstWait())); // it was asked just before
        String commit = listing.commit();
        Optional<String> weights = ModelFiles.safetensors(listing.files());
        if (weights.isEmpty()) {
            return false;
        }
        Set<String> names = Set.of(weights.get());
        Optional<String> index = ModelFiles.index(listing.files());
        if (index.isPresent()) {
            Path file = folder.resolve(index.get());
            Files.write(file, whole(commit, index.get()));
            names = ModelFiles.shards(file, index.get());
            remote.requireShards(names, listing, index.get());
        }
        for (String name : names) {
            RemoteFile file = remote.describe(commit, name);
            write(folder.resolve(name), header(commit, file), file.size());
        }
        return true;
    }

    private byte[] whole(String commit, String name) throws TransferException, InterruptedException {
        return new Retries(Retries.MOST, options.firstWait()).until(() -> {
            try (HubClient.Answer answer = client.get(remote.address(commit, name), name, Optional.empty())) {
                return answer.body()
                        .readAll(MAX_INDEX_BYTES)
                        .orElseThrow(() -> new UnavailableException(
                                "What " + options.endpoint() + " sends as " + name + " is too long to be one."));
            }
        });
    }

    /** The length and the header; what is no header is left to whoever reads the file. */
    private byte[] header(String commit, RemoteFile file)
            throws TransferException, RangesNotServedException, InterruptedException {
        byte[] first = range(commit, file, (int) Math.min(file.size(), FIRST_BYTES));
        if (first.length < LENGTH_BYTES) {
            return first;
        }
        long header = ByteBuffer.wrap(first).order(ByteOrder.LITTLE_ENDIAN).getLong();
        boolean isShort = header <= first.length - LENGTH_BYTES;
        boolean isSane = header <= Math.min(MAX_HEADER_BYTES, file.size() - LENGTH_BYTES);
        return isShort || !isSane ? first : range(commit, file, Math.toIntExact(header) + LENGTH_BYTES);
    }

    /** The first bytes of a file. */
    private byte[] range(String commit, RemoteFile file, int length)
            throws TransferException, RangesNotServedException, InterruptedException {
        if (length == 0) {
            return new byte[0];
        }
        URI address = remote.address(commit, file.name());
        Retries retries = new Retries(Retries.MOST, options.firstWait());
        while (true) {
            try (HubClient.Answer answer = client.get(address, file.name(), Optional.of("bytes=0-" + (length - 1)))) {
                if (answer.status() != 206) {
                    throw new RangesNotServedException("status " + answer.status());
                }
                byte[] bytes = answer.body().readAll(length).orElse(new byte[0]);
                if (bytes.length != length) {
                    throw new RangesNotServedException("another number of bytes than asked for");
                }
                return bytes;
            } catch (TransferException e) {
                retries.failed(e);
            }
        }
    }

    private static void write(Path path, byte[] header, long size) throws IOException {
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(header), 0);
            if (size > header.length) {
                file.write(ByteBuffer.allocate(1), size - 1);
            }
        }
    }
}
