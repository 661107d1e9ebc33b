package org.dolly4j.runtime;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dolly4j.DollyException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder of packed weights, so that a later start maps them and need not read and pack the checkpoint again.
 * Processes may share it, and a model in use is not harmed by what happens to its file: files appear by a rename, are
 * never changed after that, and end by being unlinked. Nothing depends on the cache: what cannot be written is one
 * warning in the log.
 *
 * <p>Folder and files are this user's alone. Files that the cache did not make are left alone.
 */
public final class WeightCache {
    /** Most bytes unless told otherwise: room for the largest Dolly, or for several smaller ones. */
    public static final long DEFAULT_MAX_BYTES = 32L << 30;

    private static final String FOLDER_PROPERTY = "dolly4j.cache.dir";
    private static final String FOLDER_VARIABLE = "DOLLY4J_CACHE_DIR";

    /** Bytes that are left free on the disk. */
    private static final long SPARE_BYTES = 1L << 30;

    private static final Pattern FILE = Pattern.compile("([0-9a-f]{" + WeightKey.LENGTH + "})\\.packed");

    /** Files that are being written: by many at once, so each has a name of its own. */
    private static final Pattern PART = Pattern.compile("([0-9a-f]{" + WeightKey.LENGTH + "})\\.[0-9a-f-]{36}\\.part");

    /** Age from which a file that is being written is given up where files cannot be locked. */
    private static final Duration LONGEST_WRITE = Duration.ofDays(1);

    private static final Logger LOG = LoggerFactory.getLogger(WeightCache.class);

    private final Path folder;
    private final long maxBytes;
    private final FreeBytes freeBytes;

    /** Tells how many bytes may be written to the disk that a folder is on. */
    @FunctionalInterface
    interface FreeBytes {
        long of(Path folder) throws IOException;
    }

    /**
     * A cache in a folder, which is made when something is written.
     *
     * @param base folder of all that dolly4j caches, see {@link #defaultBase()}; the weights are in a folder in it
     * @param maxBytes most bytes of all files; the ones used longest ago are deleted before one more is written
     */
    public WeightCache(Path base, long maxBytes) {
        this(base, maxBytes, folder -> Files.getFileStore(folder).getUsableSpace());
    }

    WeightCache(Path base, long maxBytes, FreeBytes freeBytes) {
        this.folder = base.toAbsolutePath().normalize().resolve("weights");
        this.maxBytes = maxBytes;
        this.freeBytes = freeBytes;
    }

    /**
     * The folder that dolly4j caches in unless told otherwise: the one that the system property
     * {@code dolly4j.cache.dir} names, or the environment variable {@code DOLLY4J_CACHE_DIR}, or {@code dolly4j} in
     * {@code XDG_CACHE_HOME}, or {@code .cache/dolly4j} in the home folder. A user without a home, as there are in
     * containers, has one in the folder of temporary files.
     */
    public static Path defaultBase() {
        String stated = System.getProperty(FOLDER_PROPERTY, System.getenv(FOLDER_VARIABLE));
        if (stated != null && !stated.isEmpty()) {
            return Path.of(stated);
        }
        String caches = System.getenv("XDG_CACHE_HOME");
        if (caches != null && Path.of(caches).isAbsolute()) {
            return Path.of(caches, "dolly4j");
        }
        Path home = Path.of(System.getProperty("user.home"));
        return home.isAbsolute()
                ? home.resolve(".cache/dolly4j")
                : Path.of(System.getProperty("java.io.tmpdir"), "dolly4j-" + userId());
    }

    /** Who has no home often has no name either. */
    private static String userId() {
        try {
            return Files.getAttribute(Path.of("/proc/self"), "unix:uid").toString();
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
            return System.getProperty("user.name");
        }
    }

    /** The folder of the files. */
    public Path folder() {
        return folder;
    }

    /**
     * All files, the one used last first.
     *
     * @throws DollyException if the folder cannot be read; none is an empty list
     */
    public List<CachedWeights> list() {
        try {
            List<CachedWeights> found = new ArrayList<>();
            for (Path file : filesLike(FILE)) {
                try {
                    found.add(CachedWeights.of(file, key(FILE, file)));
                } catch (NoSuchFileException e) {
                    LOG.debug("{} was deleted meanwhile", file);
                }
            }
            found.sort(Comparator.comparing(CachedWeights::lastUsed).reversed());
            return found;
        } catch (IOException e) {
            throw new DollyException("The weight cache " + folder + " cannot be read: " + reason(e), e);
        }
    }

    /**
     * Deletes a file; models that have it mapped go on.
     *
     * @throws DollyException if it cannot be deleted; one that is gone is no failure
     */
    public void delete(CachedWeights weights) {
        try {
            Files.deleteIfExists(weights.file());
        } catch (IOException e) {
            throw new DollyException(weights.file() + " cannot be deleted: " + reason(e), e);
        }
    }

    /**
     * Deletes what writers left behind that have ended.
     *
     * @return the bytes that this freed
     * @throws DollyException if the folder cannot be read or a file not be deleted
     */
    public long deleteLeftovers() {
        try {
            long freed = 0;
            for (Path part : filesLike(PART)) {
                if (!isBeingWritten(part)) {
                    freed += sizeOf(part);
                    Files.deleteIfExists(part);
                }
            }
            return freed;
        } catch (IOException e) {
            throw new DollyException("The weight cache " + folder + " cannot be cleaned: " + reason(e), e);
        }
    }

    /** The file with that key, if there is one. */
    Optional<Path> find(WeightKey key) {
        Path file = fileOf(key);
        return Files.exists(file) ? Optional.of(file) : Optional.empty();
    }

    /** Notes that a file is in use, so that it is not the next to be deleted. */
    void touch(Path file) {
        try {
            Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
        } catch (IOException e) {
            LOG.debug("The last use of {} cannot be noted: {}", file, e.toString());
        }
    }

    /**
     * Writes a file, unless another process is at it. A failure is logged as a warning.
     *
     * @param bytes about its size
     * @param write writes the file that it is given, whole or with a {@link DollyException}
     * @return the file, if it is there now
     */
    Optional<Path> save(WeightKey key, long bytes, Consumer<Path> write) {
        try {
            if (bytes > maxBytes) {
                throw new IOException(String.format(
                        Locale.ROOT, "they take %,d bytes, and the cache may have %,d (cacheSize)", bytes, maxBytes));
            }
            Files.createDirectories(folder, ownerOnly("rwx------"));
            deleteLeftovers();
            for (Path part : filesLike(PART)) {
                if (key(PART, part).equals(key.text())) {
                    LOG.debug("{} is being written by another process", part);
                    return Optional.empty();
                }
            }
            makeRoom(bytes, fileOf(key));
            Path file = write(key, write);
            deleteOldest(file); // it is a little larger, and others may have written meanwhile
            return Optional.of(file);
        } catch (IOException | DollyException e) {
            LOG.warn(
                    "The packed weights cannot be kept in {}, so the next start takes as long as this one: {}. Choose"
                            + " another folder (cacheDirectory, --cache-dir, -D{}), or none (weightCache, --weight-cache"
                            + " off).",
                    folder,
                    reason(e),
                    FOLDER_PROPERTY);
            return Optional.empty();
        }
    }

    /**
     * Deletes the files used longest ago, until the cache and the disk have room for so many bytes more; none if the
     * disk would be too full even so.
     *
     * @param replaced the file that they are for, which is not counted
     */
    private void makeRoom(long bytes, Path replaced) throws IOException {
        List<CachedWeights> files = list();
        files.removeIf(file -> file.file().equals(replaced));
        long total = files.stream().mapToLong(CachedWeights::bytes).sum();
        long lacking = bytes + SPARE_BYTES - freeBytes.of(folder);
        if (lacking > total) {
            throw tooFull(bytes);
        }
        long surplus = Math.max(lacking, total + bytes - maxBytes);
        for (int i = files.size() - 1; i >= 0 && surplus > 0; i--) {
            delete(files.get(i));
            surplus -= files.get(i).bytes();
            LOG.debug("Deleted {}, used longest ago, to make room in the weight cache", files.get(i));
        }
        if (bytes + SPARE_BYTES > freeBytes.of(folder)) { // what is mapped somewhere goes on taking room
            throw tooFull(bytes);
        }
    }

    private void deleteOldest(Path kept) {
        List<CachedWeights> files = list();
        long total = files.stream().mapToLong(CachedWeights::bytes).sum();
        for (int i = files.size() - 1; i >= 0 && total > maxBytes; i--) {
            CachedWeights oldest = files.get(i);
            if (!oldest.file().equals(kept)) {
                delete(oldest);
                total -= oldest.bytes();
                LOG.debug("Deleted {}, used longest ago, to keep the weight cache within {} bytes", oldest, maxBytes);
            }
        }
    }

    private IOException tooFull(long bytes) throws IOException {
        return new IOException(String.format(
                Locale.ROOT,
                "they take %,d bytes, and of the %,d that are free on the disk %,d are left alone",
                bytes,
                freeBytes.of(folder),
                SPARE_BYTES));
    }

    /** The lock says to other processes that this one is alive. */
    private Path write(WeightKey key, Consumer<Path> write) throws IOException {
        Path file = fileOf(key);
        Path part = folder.resolve(key.text() + "." + UUID.randomUUID() + ".part");
        Set<StandardOpenOption> fresh = Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        try (FileChannel channel = FileChannel.open(part, fresh, ownerOnly("rw-------"))) {
            lock(channel);
            write.accept(part);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
        return file;
    }

    private static void lock(FileChannel channel) {
        try {
            channel.tryLock();
        } catch (IOException e) {
            LOG.debug("A file of the weight cache cannot be locked: {}", e.toString());
        }
    }

    private static boolean isBeingWritten(Path part) throws IOException {
        try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
            try (FileLock lock = channel.tryLock()) {
                return lock == null;
            } catch (OverlappingFileLockException e) {
                return true;
            } catch (IOException e) {
                Instant changed = Files.getLastModifiedTime(part).toInstant();
                return changed.isAfter(Instant.now().minus(LONGEST_WRITE));
            }
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    private Path fileOf(WeightKey key) {
        return folder.resolve(key.text() + ".packed");
    }

    private static String key(Pattern pattern, Path file) {
        Matcher matcher = pattern.matcher(file.getFileName().toString());
        return matcher.matches() ? matcher.group(1) : "";
    }

    private List<Path> filesLike(Pattern pattern) throws IOException {
        List<Path> files = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
            for (Path file : all) {
                if (pattern.matcher(file.getFileName().toString()).matches()) {
                    files.add(file);
                }
            }
        } catch (NoSuchFileException | NotDirectoryException e) {
            LOG.debug("There is no weight cache in {}", folder);
        }
        return files;
    }

    /** The name of a file system's exception is half of what it says. */
    private static String reason(Exception e) {
        return e instanceof FileSystemException ? e.getClass().getSimpleName() + ": " + e.getMessage() : e.getMessage();
    }

    private static long sizeOf(Path file) throws IOException {
        try {
            return Files.size(file);
        } catch (NoSuchFileException e) {
            return 0;
        }
    }

    private static FileAttribute<?>[] ownerOnly(String permissions) {
        return FileSystems.getDefault().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
                }
                : new FileAttribute<?>[0];
    }
}
