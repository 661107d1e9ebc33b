package org.dolly4j.hub;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
import org.dolly4j.HubException;
import org.dolly4j.hub.ModelFiles.Selection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The Hugging Face hub: makes models of it folders on this machine. They lie in the cache that Python's huggingface_hub
 * uses, in its layout, so what either has downloaded the other has too.
 *
 * <p>Only the files that a model needs are downloaded; of these nothing is executed. What is sent is the model's id,
 * the revision and the names of files, the access token if there is one, and the name and version of this library.
 * Methods are safe from any thread; of those that want the same file, also in other processes, one downloads it.
 */
public final class Hub {
    private static final Logger LOG = LoggerFactory.getLogger(Hub.class);

    private final HubOptions options;

    /** A hub with these options. */
    public Hub(HubOptions options) {
        this.options = Objects.requireNonNull(options, "options");
    }

    /** Whether a text is an id with its namespace, and there is no file or folder of that name. */
    public static boolean isModel(String text) {
        return text.contains("/") && HubRepository.isId(text) && !Files.exists(Path.of(text));
    }

    /**
     * Brings something of a model that {@link #isModel} says is one of the hub.
     *
     * @param id of the model
     * @param revision if it is not the default
     * @param bring what to do with it
     * @throws HubException as what brings it; says that there is no folder of that name
     */
    public <T> T bring(String id, Optional<String> revision, BiFunction<Hub, HubRepository, T> bring) {
        HubRepository repository = new HubRepository(id, revision.orElse(HubRepository.DEFAULT_REVISION));
        LOG.info("There is no folder '{}': takes it for a model of the hub", id);
        try {
            return bring.apply(this, repository);
        } catch (HubException e) {
            throw new HubException(
                    "There is no folder '" + id + "', so it was taken for a model of the hub. " + e.getMessage(), e);
        }
    }

    /**
     * Makes sure that a model is on this machine: config.json, generation_config.json, the tokenizer's files, and the
     * weights, as safetensors if there are any.
     *
     * <p>If the revision is a commit that is in the cache, nobody is asked. Otherwise the hub is asked which commit the
     * revision is; if it cannot be reached, or must not be, the one that it was last is used if it is in the cache. So
     * it is, with a warning, if something else answers in the hub's place or the cache cannot be written; not if the
     * hub refuses the model. A download that was broken off goes on where it ended, unless the server states no hash.
     *
     * @return the folder of the model; it belongs to the cache, and nothing in it should be changed
     * @throws HubException if the model is not to be had, with what to do about it
     * @throws CancellationException if the thread is interrupted
     */
    public Path download(HubRepository repository) {
        return download(repository, Selection.MODEL);
    }

    /**
     * Whether all of a model is on this machine, at the commit that its revision was when it was last asked for; nobody
     * is asked.
     */
    public boolean has(HubRepository repository) {
        CachedRepository cached = new CachedRepository(options.cacheDirectory().toAbsolutePath(), repository);
        return cached.commit()
                .filter(commit -> cached.missing(commit, Selection.MODEL).isEmpty())
                .isPresent();
    }

    /**
     * Makes sure that a model's tokenizer is on this machine, and config.json, but not the weights; otherwise as {@link
     * #download}.
     */
    public Path downloadTokenizer(HubRepository repository) {
        return download(repository, Selection.TOKENIZER);
    }

    /**
     * Asks for what stands before the tensors in a model's files of weights: which ones there are, of what type and
     * size, and where. Nothing of that is kept in the cache but config.json and the tokenizer.
     *
     * @return empty if the weights are no safetensors, there is no config.json, the server sends no parts of files, or
     *     the network cannot or must not be used; to be closed
     * @throws HubException as {@link #download}
     * @throws CancellationException if the thread is interrupted
     */
    public Optional<HeaderFolder> downloadHeaders(HubRepository repository) {
        if (options.offline()) {
            return Optional.empty();
        }
        Path config = downloadTokenizer(repository).resolve(ModelFiles.CONFIG);
        if (!Files.exists(config)) {
            return Optional.empty();
        }
        return orHubException(() -> {
            HeaderFolder folder = new HeaderFolder(Files.createTempDirectory("dolly4j-headers"));
            boolean isComplete = false;
            try {
                Files.copy(config, folder.path().resolve(ModelFiles.CONFIG));
                isComplete = new HeaderDownload(options, repository).run(folder.path());
            } catch (RangesNotServedException e) {
                LOG.info(
                        "The server sends no parts of files ({}): the headers of weights are not known",
                        e.getMessage());
            } catch (TransferException | UnavailableException e) {
                if (e instanceof UnavailableException unavailable && unavailable.isInterruption()) {
                    throw unavailable;
                }
                LOG.warn("{}: the headers of weights are not known", e.getMessage());
            } finally {
                if (!isComplete) {
                    folder.close();
                }
            }
            return isComplete ? Optional.of(folder) : Optional.empty();
        });
    }

    private Path download(HubRepository repository, Selection selection) {
        CachedRepository cached = new CachedRepository(options.cacheDirectory().toAbsolutePath(), repository);
        return orHubException(() -> download(cached, selection));
    }

    /** Something that may fail as transfers do. */
    @FunctionalInterface
    private interface Transfer<T> {
        T run() throws IOException, InterruptedException;
    }

    private static <T> T orHubException(Transfer<T> transfer) {
        try {
            return transfer.run();
        } catch (UnavailableException e) {
            throw e.isInterruption() ? cancelled(e) : new HubException(e.getMessage(), e);
        } catch (ClosedByInterruptException e) {
            throw cancelled(e);
        } catch (IOException e) {
            throw new HubException("What was asked of the hub cannot be brought: " + e + ".", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw cancelled(e);
        }
    }

    private static CancellationException cancelled(Exception cause) {
        CancellationException cancelled = new CancellationException("The download was interrupted.");
        cancelled.initCause(cause);
        return cancelled;
    }

    private Path download(CachedRepository cached, Selection selection) throws InterruptedException {
        HubRepository repository = cached.repository();
        Optional<String> known = cached.commit();
        List<String> missing =
                known.map(commit -> cached.missing(commit, selection)).orElse(List.of("everything"));
        Optional<String> usableCommit = known.filter(commit -> missing.isEmpty());
        Optional<Path> usable = usableCommit.map(cached::snapshot);
        if (usable.isPresent() && (options.offline() || HubRepository.isCommit(repository.revision()))) {
            return usable.get();
        }
        if (options.offline()) {
            throw new HubException(absent(cached, known, missing)
                    + ", and the network must not be used (HF_HUB_OFFLINE). Download the model while it may be, or give"
                    + " the folder of one.");
        }
        try {
            return new SnapshotDownload(options, cached, selection).run(usableCommit);
        } catch (TransferException e) {
            if (usable.isPresent()) {
                LOG.warn("{}; {} is used as it was when it was last downloaded.", e.getMessage(), repository.id());
                return usable.get();
            }
            throw new HubException(
                    repository.id() + " cannot be downloaded: " + e.getMessage() + ". " + absent(cached, known, missing)
                            + ". Try again later; what is here already will not be downloaded again. Behind a proxy,"
                            + " set HTTPS_PROXY.",
                    e);
        } catch (UnavailableException e) {
            if (usable.isEmpty() || e.isInterruption()) {
                throw e;
            }
            LOG.warn("{} {} is used as it was when it was last downloaded.", e.getMessage(), repository.id());
            return usable.get();
        }
    }

    private static String absent(CachedRepository cached, Optional<String> known, List<String> missing) {
        HubRepository repository = cached.repository();
        String subject = repository.id() + " at revision '" + repository.revision() + "'";
        return known.isEmpty()
                ? "The cache " + cached.cache() + " has no " + subject
                : "The cache " + cached.cache() + " has " + subject + ", but not " + String.join(", ", missing);
    }
}
