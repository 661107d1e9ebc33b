package org.dolly4j.cli;

import java.nio.file.Path;

/** The goldens and tokenizers that the library's tests bring. */
final class Goldens {
    /** Goldens, a folder for each part. */
    static final Path FOLDER = Path.of("../core/src/test/resources/goldens");

    /** Tokenizers, of which gpt-neox-20b is the base of Dolly's. */
    static final Path TOKENIZERS = Path.of("../core/src/test/resources/tokenizers");

    private Goldens() {}
}
