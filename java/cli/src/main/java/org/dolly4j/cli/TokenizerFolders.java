package org.dolly4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.dolly4j.DollyException;
import org.dolly4j.check.DollyTokenizers;

/**
 * The folder of the tokenizer folders that goldens name.
 *
 * @param path the folder
 * @param temporary whether it was made for this use, and goes with it
 */
record TokenizerFolders(Path path, boolean temporary) implements AutoCloseable {
    /** Where the base of the tokenizers is in the repository, beside its goldens. */
    private static final String BASES = "tokenizers";

    /**
     * Those beside the goldens; if only their base is there, they are made from it.
     *
     * @param beside the folder that the goldens are in
     * @throws DollyException if they cannot be made
     */
    static TokenizerFolders beside(Path beside) {
        Path bases = beside.resolve(BASES);
        if (!DollyTokenizers.canBeMadeFrom(bases)) {
            return new TokenizerFolders(beside, false);
        }
        try {
            TokenizerFolders made = new TokenizerFolders(Files.createTempDirectory("dolly4j-tokenizers-"), true);
            try {
                DollyTokenizers.write(bases, made.path);
            } catch (RuntimeException e) {
                made.close();
                throw e;
            }
            return made;
        } catch (IOException e) {
            throw new DollyException("No temporary folder can be made for the tokenizers: " + e, e);
        }
    }

    @Override
    public void close() {
        if (!temporary) {
            return;
        }
        try (Stream<Path> files = Files.walk(path)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new DollyException("The temporary folder " + path + " cannot be deleted: " + e, e);
        }
    }
}
