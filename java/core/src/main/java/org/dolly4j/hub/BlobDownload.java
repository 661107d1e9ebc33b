package org.dolly4j.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.dolly4j.HubException;
import org.dolly4j.hub.DownloadProgress.Phase;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Brings a file of the hub into the cache, whole and checked or not at all. */
final class BlobDownload {
    private static final Logger LOG = LoggerFactory.getLogger(BlobDownload.class);

    private final HubClient client;
    private final HubOptions options;
    private final CachedRepository cached;
    private final URI address;
    private final RemoteFile file;
    private final DownloadReport report;
    private final Path blob;

    /**
     * @param address of the file at the hub
     * @param report told how far it is
     */
    BlobDownload(
            HubClient client,
            HubOptions options,
            CachedRepository cached,
            URI address,
            RemoteFile file,
            DownloadReport report) {
        this.client = client;
        this.options = options;
        this.cached = cached;
        this.address = address;
        this.file = file;
        this.report = report;
        blob = cached.blob(file.etag());
    }

    /** Whether a blob is in the cache, and has all its bytes. */
    static boolean isPresent(Path blob, RemoteFile file) {
        try {
            return Files.isRegularFile(blob) && Files.size(blob) == file.size();
        } catch (IOException e) {
            throw CachedRepository.unusable(blob, e);
        }
    }

    /**
     * Brings it, or waits while another process does.
     *
     * @throws TransferException if retries did not help
     * @throws HubException if it is refused
     * @throws UnavailableException if its bytes are not those that the hub stated, or cannot be written
     */
    void run() throws TransferException, InterruptedException {
        if (isPresent(blob, file)) {
            report.done(file);
            return;
        }
        BlobLock lock = BlobLock.acquire(cached.lock(file.etag()), () -> report.step(file, Phase.WAITING, 0));
        try {
            if (!isPresent(blob, file)) {
                bring();
            }
        } catch (TransferException e) {
            throw e;
        } catch (IOException e) {
            throw CachedRepository.unusable(PartialBlob.bytesFile(blob), e);
        } finally {
            lock.close();
        }
        report.done(file);
    }

    private void bring() throws IOException, InterruptedException {
        boolean resumed = PartialBlob.left(blob, file.size()) > 0;
        if (resumed && BlobHash.of(file.etag()).isEmpty()) {
            // Nothing would tell that a failing machine, or other bytes of the same ETag, left what is no part of it.
            forget();
            resumed = false;
        }
        transfer();
        Optional<String> wrong = wrongHash();
        if (wrong.isPresent() && resumed) {
            LOG.warn("{}: what an earlier download left was damaged, so it is downloaded anew.", file.name());
        } else if (wrong.isPresent()) {
            LOG.warn("{}: the bytes that came are not those that the hub states; once again.", file.name());
        }
        if (wrong.isPresent()) {
            forget();
            transfer();
            wrong = wrongHash();
        }
        if (wrong.isPresent()) {
            forget();
            throw new UnavailableException("The bytes of " + file.name() + " are not those that the hub states, twice:"
                    + " their hash is " + wrong.get() + ", not " + file.etag() + ". Something between here and the hub"
                    + " changes them; download it by another way, or later.");
        }
        try (PartialBlob partial = open()) {
            partial.become(blob);
        }
    }

    private PartialBlob open() throws IOException {
        return PartialBlob.open(blob, file.size(), options.partBytes());
    }

    private void transfer() throws IOException, InterruptedException {
        try (PartialBlob partial = open()) {
            new RangeTransfer(client, options, address, file, partial)
                    .run(() -> report.step(file, Phase.DOWNLOADING, partial.present()));
            return;
        } catch (RangesNotServedException e) {
            LOG.info("{}: the server does not serve ranges ({}), so it comes as a whole.", file.name(), e.getMessage());
        }
        // Opened anew: threads that are interrupted close what they write to.
        try (PartialBlob partial = open()) {
            new WholeTransfer(client, options, address, file, partial)
                    .run(() -> report.step(file, Phase.DOWNLOADING, partial.present()));
        }
    }

    private void forget() throws IOException {
        try (PartialBlob partial = open()) {
            partial.restart();
        }
    }

    /** The hash that the bytes have, if it is another than the stated one. */
    private Optional<String> wrongHash() throws IOException {
        Optional<BlobHash> hash = BlobHash.of(file.etag());
        if (hash.isEmpty()) {
            LOG.warn("{}: its ETag is no hash, so its bytes are taken as they came.", file.name());
            return Optional.empty();
        }
        String found =
                hash.get().hash(PartialBlob.bytesFile(blob), checked -> report.step(file, Phase.CHECKING, checked));
        return found.equals(file.etag()) ? Optional.empty() : Optional.of(found);
    }
}
