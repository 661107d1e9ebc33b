package org.dolly4j.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.dolly4j.DollyException;

/**
 * A folder that appears complete or not at all: it is made beside its place under another name, and renamed once all of
 * it is on the disk. What a killed process leaves has that other name, and the next one for the same place deletes it.
 */
final class NewFolder implements AutoCloseable {
    private static final String PART_ENDING = ".dolly4j-part";

    /** Locked while the folder is made, which says that its maker is alive. */
    private static final String LOCK = ".dolly4j-lock";

    /** Tells which disk a folder is on. */
    @FunctionalInterface
    interface Disks {
        FileStore of(Path folder) throws IOException;
    }

    private final Path place;
    private final Path part;
    private final FileChannel lock;
    private boolean completed;

    private NewFolder(Path place, Path part, FileChannel lock) {
        this.place = place;
        this.part = part;
        this.lock = lock;
    }

    /**
     * Begins a folder.
     *
     * @param folder where it will be: nothing is there yet, or an empty folder; that which holds it is made if missing
     * @throws DollyException if something is there, another process is making it, or it is where a disk is mounted
     * @throws IOException if nothing can be written there
     */
    static NewFolder begin(Path folder) throws IOException {
        return begin(folder, Files::getFileStore);
    }

    static NewFolder begin(Path folder, Disks disks) throws IOException {
        Path place = Files.isDirectory(folder)
                ? folder.toRealPath()
                : folder.toAbsolutePath().normalize();
        requireNothingAt(place);
        Path name = place.getFileName();
        if (name == null) {
            throw new DollyException(folder + " is no place for a new folder. Name another one.");
        }
        requireSameDisk(place, disks);
        Files.createDirectories(place.getParent());
        Path part = place.resolveSibling("." + name + PART_ENDING);
        try {
            Files.createDirectory(part);
        } catch (FileAlreadyExistsException e) {
            if (!Files.isDirectory(part, LinkOption.NOFOLLOW_LINKS)) {
                throw new DollyException(part + " is in the way. Delete it.", e);
            }
        }
        NewFolder begun = new NewFolder(place, part, lock(part));
        try {
            begun.deleteFiles();
            return begun;
        } catch (IOException e) {
            begun.lock.close();
            throw e;
        }
    }

    private static void requireNothingAt(Path place) throws IOException {
        if (!Files.exists(place, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        if (!Files.isDirectory(place)) {
            throw new DollyException(place + " is there already. Name a new folder.");
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(place)) {
            if (files.iterator().hasNext()) {
                throw new DollyException(place + " is there already and not empty. Name a new folder.");
            }
        }
    }

    /** A folder beside one where a disk is mounted cannot take its place, and is on another disk. */
    private static void requireSameDisk(Path place, Disks disks) throws IOException {
        if (Files.isDirectory(place) && !disks.of(place).equals(disks.of(place.getParent()))) {
            throw new DollyException(place + " is where a disk is mounted, and cannot become the new folder itself."
                    + " Name a folder inside it, such as " + place.resolve("model") + ".");
        }
    }

    private static FileChannel lock(Path part) throws IOException {
        FileChannel lock = FileChannel.open(part.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            FileLock held = lock.tryLock();
            if (held != null) {
                return lock;
            }
        } catch (OverlappingFileLockException e) {
            // Held by this process.
        } catch (IOException e) {
            return lock; // a file system without locks
        }
        lock.close();
        throw new DollyException("Another process is writing " + part + ". Wait for it, or name another folder.");
    }

    /** The folder while it is made. */
    Path part() {
        return part;
    }

    /** Puts it to its place. Its files are on the disk; this waits until their names are, too. */
    void complete() throws IOException {
        force(part);
        Files.move(part, place, StandardCopyOption.ATOMIC_MOVE);
        completed = true;
        Files.delete(place.resolve(LOCK)); // not sooner: who finds none believes that nobody is at it
        force(place);
        force(place.getParent());
    }

    /** Waits until the names in a folder are on the disk. */
    private static void force(Path folder) throws IOException {
        try (FileChannel open = FileChannel.open(folder, StandardOpenOption.READ)) {
            open.force(true);
        }
    }

    /** Deletes all but the lock. */
    private void deleteFiles() throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(part, file -> !file.endsWith(LOCK))) {
            for (Path file : files) {
                Files.delete(file);
            }
        }
    }

    /** Deletes what was made if it was not completed. */
    @Override
    public void close() throws IOException {
        try (lock) {
            if (!completed) {
                deleteFiles();
                Files.delete(part.resolve(LOCK));
                Files.delete(part);
            }
        }
    }
}
