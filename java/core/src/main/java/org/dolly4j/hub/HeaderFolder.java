package org.dolly4j.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder of a model whose files of weights have their headers and lengths, but nothing in between: enough to know
 * what there is. See {@link Hub#downloadHeaders}. Closing it deletes it.
 */
public final class HeaderFolder implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HeaderFolder.class);

    private final Path path;

    /** @param path of a temporary folder, which belongs to this from now on */
    HeaderFolder(Path path) {
        this.path = path;
    }

    /** The folder. */
    public Path path() {
        return path;
    }

    @Override
    public void close() {
        try (Stream<Path> all = Files.walk(path)) {
            List<Path> inner = all.sorted(Comparator.reverseOrder()).toList();
            for (Path one : inner) {
                Files.delete(one);
            }
        } catch (IOException e) {
            LOG.warn("{} cannot be deleted: {}", path, e.toString());
        }
    }
}
