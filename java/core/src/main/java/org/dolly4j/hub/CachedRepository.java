package org.dolly4j.hub;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dolly4j.hub.ModelFiles.Selection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The place of a repository in the cache, in the layout of huggingface_hub: {@code blobs/ETAG} holds the bytes, {@code
 * snapshots/COMMIT/FILE} links to them, {@code refs/REVISION} holds a commit, and {@code trees/COMMIT.json} what
 * huggingface_hub saw there.
 *
 * @param cache the folder of the cache
 * @param repository the repository
 */
record CachedRepository(Path cache, HubRepository repository) {
    private static final Logger LOG = LoggerFactory.getLogger(CachedRepository.class);

    private Path folder() {
        return cache.resolve(repository.folderName());
    }

    /** The bytes of a file. */
    Path blob(String etag) {
        return folder().resolve("blobs").resolve(etag);
    }

    /** What whoever downloads them locks. */
    Path lock(String etag) {
        return cache.resolve(".locks").resolve(repository.folderName()).resolve(etag + ".lock");
    }

    /** The files of a commit. */
    Path snapshot(String commit) {
        return folder().resolve("snapshots").resolve(commit);
    }

    /** A file of a commit. */
    Path file(String commit, String name) {
        return snapshot(commit).resolve(name);
    }

    /** The commit that the revision is, or was when it was last asked for; empty if it never was. */
    Optional<String> commit() {
        if (HubRepository.isCommit(repository.revision())) {
            return Optional.of(repository.revision());
        }
        Path ref = ref();
        try {
            return Optional.of(Files.readString(ref).strip()).filter(HubRepository::isCommit);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw unusable(ref, e);
        }
    }

    private Path ref() {
        return folder().resolve("refs").resolve(repository.revision());
    }

    /** Notes the commit that the revision is, so that it is known offline; a cache that cannot be written does not. */
    void writeRef(String commit) {
        if (commit().equals(Optional.of(commit))) {
            return;
        }
        Path ref = ref();
        Path part = ref.resolveSibling(
                ref.getFileName() + "." + UUID.randomUUID().toString().substring(0, 8) + ".tmp");
        try {
            Files.createDirectories(ref.getParent());
            Files.writeString(part, commit);
            Files.move(part, ref, StandardCopyOption.ATOMIC_MOVE);
        } catch (ClosedByInterruptException e) {
            throw unusable(ref, e);
        } catch (IOException e) {
            LOG.warn("{} cannot be written ({}): offline, {} will not be found there.", ref, e, repository.revision());
        }
    }

    /**
     * What a snapshot lacks to be used without asking the hub; empty if it is complete. If huggingface_hub has left a
     * list of the repository's files, it is looked up there what must be present, else a tokenizer must.
     */
    List<String> missing(String commit, Selection selection) {
        Set<String> present = present(commit);
        Set<String> known = RepositoryListing.ofTree(folder().resolve("trees").resolve(commit + ".json"), commit)
                .map(RepositoryListing::files)
                .orElse(Set.of());
        Set<String> expected = new LinkedHashSet<>(present);
        if (known.isEmpty()) {
            if (!ModelFiles.hasTokenizer(present)) {
                expected.add(ModelFiles.TOKENIZER);
            }
        } else if (ModelFiles.hasWeights(present)) {
            expected.addAll(ModelFiles.withoutWeights(known)); // others than those would be chosen now, but these do
        } else {
            expected.addAll(known);
        }
        if (selection == Selection.MODEL) {
            expected.add(ModelFiles.CONFIG);
            if (!ModelFiles.hasWeights(expected)) {
                return List.of("the weights");
            }
        }
        List<String> missing = new ArrayList<>(ModelFiles.needed(expected, selection, repository));
        Optional<String> index = ModelFiles.index(expected);
        if (selection == Selection.MODEL && index.isPresent() && present.contains(index.get())) {
            missing.addAll(ModelFiles.shards(file(commit, index.get()), index.get()));
        }
        missing.removeAll(present);
        return missing;
    }

    /** The names of the files of a commit that are here. */
    Set<String> present(String commit) {
        try (Stream<Path> files = Files.list(snapshot(commit))) {
            return files.filter(Files::isRegularFile)
                    .map(file -> file.getFileName().toString())
                    .filter(ModelFiles::isPlainName)
                    .collect(Collectors.toCollection(LinkedHashSet::new));
        } catch (NoSuchFileException e) {
            return Set.of();
        } catch (IOException e) {
            throw unusable(snapshot(commit), e);
        }
    }

    /** Lets a file of a commit be a blob that is there. */
    void link(String commit, String name, String etag) {
        Path link = file(commit, name);
        Path blob = blob(etag);
        try {
            Files.createDirectories(link.getParent());
            if (Files.exists(link)) {
                return;
            }
            Files.deleteIfExists(link); // one whose blob was deleted
            try {
                Files.createSymbolicLink(link, link.getParent().relativize(blob));
            } catch (FileAlreadyExistsException e) {
                requireLinked(link, e); // by another process, just now
            } catch (IOException | UnsupportedOperationException e) {
                LOG.debug("{}: no symbolic links here, so it is a copy", link, e);
                copy(blob, link);
            }
        } catch (IOException e) {
            throw unusable(link, e);
        }
    }

    private static void requireLinked(Path link, FileAlreadyExistsException failure) throws IOException {
        if (!Files.exists(link)) {
            throw failure;
        }
    }

    private static void copy(Path blob, Path file) throws IOException {
        Path part = file.resolveSibling(file.getFileName() + "." + UUID.randomUUID() + ".incomplete");
        try {
            Files.copy(blob, part);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    /** The exception that something of the cache cannot be read or written. */
    static UnavailableException unusable(Path path, IOException cause) {
        String reason = cause.getMessage() == null || cause.getMessage().equals(path.toString())
                ? cause.getClass().getSimpleName()
                : cause.getClass().getSimpleName() + ": " + cause.getMessage();
        return new UnavailableException(
                path + " cannot be read or written (" + reason
                        + "). See that the folder of the cache can be written and"
                        + " its disk has room, or choose another by HF_HUB_CACHE.",
                cause);
    }
}
