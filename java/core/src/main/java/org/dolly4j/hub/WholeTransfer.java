package org.dolly4j.hub;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.Optional;

/** Brings the bytes of a file from a server that serves no ranges: in one go, from the start each time. */
final class WholeTransfer {
    private final HubClient client;
    private final HubOptions options;
    private final URI address;
    private final RemoteFile file;
    private final PartialBlob partial;

    /** @param address of the file at the hub */
    WholeTransfer(HubClient client, HubOptions options, URI address, RemoteFile file, PartialBlob partial) {
        this.client = client;
        this.options = options;
        this.address = address;
        this.file = file;
        this.partial = partial;
    }

    /**
     * Brings them.
     *
     * @param tick called at each piece
     * @throws TransferException if retries did not help
     * @throws IOException if they cannot be written
     */
    void run(Runnable tick) throws IOException, InterruptedException {
        Retries retries = new Retries(Retries.MOST, options.firstWait());
        long furthest = 0;
        while (true) {
            partial.restart();
            try {
                fetch(tick);
                return;
            } catch (TransferException e) {
                if (partial.present() - furthest >= ResponseBody.LEAST_BYTES) {
                    retries.progressed();
                    furthest = partial.present();
                }
                retries.failed(e);
            }
        }
    }

    private void fetch(Runnable tick) throws IOException, InterruptedException {
        try (HubClient.Answer answer = client.get(address, file.name(), Optional.empty())) {
            file.requireSize(answer);
            for (int part = 0; part < partial.partCount(); ) {
                ByteBuffer bytes = answer.body()
                        .next()
                        .orElseThrow(
                                () -> new TransferException("the connection ended before " + file.name() + " did"));
                while (bytes.hasRemaining() && part < partial.partCount()) {
                    int room = (int) Math.min(bytes.remaining(), partial.length(part) - partial.present(part));
                    partial.add(part, bytes.slice(bytes.position(), room));
                    bytes.position(bytes.position() + room);
                    if (partial.present(part) == partial.length(part)) {
                        part++;
                    }
                }
                tick.run();
            }
            answer.body().discard();
        }
    }
}
