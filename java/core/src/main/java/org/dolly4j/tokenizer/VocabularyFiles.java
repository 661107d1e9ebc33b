package org.dolly4j.tokenizer;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dolly4j.CheckpointException;

/**
 * Reads a BPE model from the two files of older tokenizers: {@code vocab.json}, an object of token and id, and {@code
 * merges.txt}, a merge a line, best first. What stands around the model is not in them: the class of the tokenizer
 * says it.
 */
final class VocabularyFiles {
    static final String VOCABULARY = "vocab.json";

    private static final String MERGES = "merges.txt";

    /** That of a vocabulary of ten times Dolly's. */
    private static final long MAX_MERGES_BYTES = 16L << 20;

    private VocabularyFiles() {}

    /** Whether a folder has both. */
    static boolean areIn(Path folder) {
        return Files.exists(folder.resolve(VOCABULARY)) && Files.exists(folder.resolve(MERGES));
    }

    /**
     * Reads and checks them.
     *
     * @throws CheckpointException if a file is damaged, or the class of the tokenizer is not known
     */
    static BpeModel read(Path folder, TokenizerSettings settings) {
        Path vocabulary = folder.resolve(VOCABULARY);
        Path merges = folder.resolve(MERGES);
        TokenizerPipeline pipeline = settings.pipeline()
                .orElseThrow(() -> new CheckpointException(vocabulary
                        + ": how text is cut into words for this vocabulary is not said. Put a tokenizer_config.json"
                        + " with the tokenizer_class beside it (supported: "
                        + List.of(TokenizerClass.values()) + "), or a tokenizer.json."));
        if (settings.addsEnds()) {
            throw new CheckpointException(folder.resolve("tokenizer_config.json")
                    + ": add_bos_token or add_eos_token is true, which puts tokens around every text. That is not"
                    + " supported; Dolly's tokenizers add nothing.");
        }
        BpeModel.Builder model = new BpeModel.Builder(vocabulary + ": the vocabulary", merges + ": the list");
        JsonFile.read(vocabulary, file -> {
            model.readVocab(file);
            return model;
        });
        readMerges(merges, model);
        return model.build(false, pipeline, List.of());
    }

    private static void readMerges(Path file, BpeModel.Builder model) {
        try {
            if (Files.size(file) > MAX_MERGES_BYTES) {
                throw new CheckpointException("%s: %s bytes, more than the %s that a list of merges may have."
                        .formatted(file, Files.size(file), MAX_MERGES_BYTES));
            }
            try (BufferedReader lines = Files.newBufferedReader(file)) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    model.addMerge(line);
                }
            }
        } catch (CharacterCodingException e) {
            throw new CheckpointException(file + ": not valid UTF-8. The file is damaged: fetch it again.", e);
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e + ").", e);
        }
    }
}
