package org.dolly4j.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.model.Family;
import org.dolly4j.tokenizer.Tokenizer;

/** A model folder of which a fuzz target writes one file. Of one thread; deleted by whoever deletes the parent. */
final class ModelFolder {
    private static final String TEXT = "The capital of Peru: \u00e9\ud83c\udf89 ### End\n\n  1234 x'll";
    private static final Path VALID = Path.of("src/test/resources/goldens/hostile/00-valid");

    private final Path folder;

    /** @param copied names of files that are those of a valid model */
    ModelFolder(String... copied) {
        try {
            folder = Files.createTempDirectory("dolly4j-fuzz");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        for (String name : copied) {
            copy(name, name);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(this::delete));
    }

    /** Copies a file of a valid model. */
    void copy(String name, String as) {
        try {
            Files.copy(VALID.resolve(name), folder.resolve(as));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void delete() {
        try (Stream<Path> files = Files.list(folder)) {
            files.forEach(file -> file.toFile().delete());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            folder.toFile().delete();
        }
    }

    Path path() {
        return folder;
    }

    void write(String name, byte[] bytes) {
        try {
            Files.write(folder.resolve(name), bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Does what loading does before weights are read; a file that is refused is refused by the exception for that. */
    void open() {
        try {
            Checkpoint checkpoint = Checkpoint.open(folder);
            checkpoint.weightDType();
            Family.planFor(checkpoint);
        } catch (CheckpointException e) {
            requireUseful(e);
        }
    }

    /** Loads the tokenizer; what can be loaded makes tokens of a text, and text of the tokens. */
    void useTokenizer() {
        try {
            Tokenizer tokenizer = Tokenizer.load(folder);
            tokenizer.decode(tokenizer.encode(TEXT), false);
            tokenizer.decode(tokenizer.encodeAsText(TEXT), true);
        } catch (CheckpointException e) {
            requireUseful(e);
        }
    }

    /** A refusal names the file. (That it is one line of a length that a person reads is for the exception to see to.) */
    void requireUseful(CheckpointException refusal) {
        if (!refusal.getMessage().startsWith(folder.toString())) {
            throw new AssertionError("a refusal that does not name the file: " + refusal.getMessage(), refusal);
        }
    }
}
