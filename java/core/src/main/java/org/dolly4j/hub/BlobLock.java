package org.dolly4j.hub;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * That nobody else downloads a blob: no thread of this process, nor another process of this library. (Python's
 * huggingface_hub takes locks of another kind on the same files, which do not see these. Both write elsewhere and
 * rename at the end, so the worst that comes of it is a second download.)
 */
final class BlobLock implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(BlobLock.class);
    private static final long POLL_MILLIS = 100;

    /** Closing any channel of a file drops the process's locks on it: so one thread at a time opens it. */
    private static final Map<Path, ReentrantLock> THREADS = new ConcurrentHashMap<>();

    private final ReentrantLock thread;
    private final FileChannel channel;

    private BlobLock(ReentrantLock thread, FileChannel channel) {
        this.thread = thread;
        this.channel = channel;
    }

    /**
     * Waits until it has the lock.
     *
     * @param waiting told now and then that it waits
     */
    static BlobLock acquire(Path file, Runnable waiting) throws InterruptedException {
        ReentrantLock thread = THREADS.computeIfAbsent(file.toAbsolutePath().normalize(), path -> new ReentrantLock());
        while (!thread.tryLock(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
            waiting.run();
        }
        try {
            return new BlobLock(thread, locked(file, waiting));
        } catch (IOException e) {
            thread.unlock();
            throw CachedRepository.unusable(file, e);
        } catch (InterruptedException | RuntimeException e) {
            thread.unlock();
            throw e;
        }
    }

    private static FileChannel locked(Path file, Runnable waiting) throws IOException, InterruptedException {
        Files.createDirectories(file.getParent());
        while (true) {
            FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            try {
                while (!tryLock(channel, file)) {
                    waiting.run();
                    Thread.sleep(POLL_MILLIS);
                }
                // Whoever deletes the file lets the next one lock another of the same name.
                if (Files.exists(file)) {
                    return channel;
                }
                channel.close();
            } catch (IOException | InterruptedException | RuntimeException e) {
                channel.close();
                throw e;
            }
        }
    }

    private static boolean tryLock(FileChannel channel, Path file) throws IOException {
        try {
            FileLock lock = channel.tryLock();
            return lock != null;
        } catch (OverlappingFileLockException e) {
            return false; // by this library in another class loader
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            LOG.warn("{}: files cannot be locked here ({}), so processes may download the same twice.", file, e);
            return true;
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            thread.unlock();
        }
    }
}
