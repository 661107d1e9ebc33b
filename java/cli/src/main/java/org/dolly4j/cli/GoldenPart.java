package org.dolly4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.List;
import java.util.stream.Stream;
import org.dolly4j.DollyException;
import org.dolly4j.DollyOptions;
import org.dolly4j.check.CheckReport;
import org.dolly4j.check.HostileCheck;
import org.dolly4j.check.ModelCheck;
import org.dolly4j.check.PipelineCheck;
import org.dolly4j.check.SamplingCheck;
import org.dolly4j.check.TokenizerCheck;

/** The parts of a goldens folder, each a folder of the constant's name in lower case, in the order they are checked. */
enum GoldenPart {
    /** Token ids and texts. */
    TOKENIZER("{encode_*,decode*,stream}.jsonl") {
        @Override
        List<CheckReport> run(Path folder, Settings settings) {
            return TokenizerCheck.run(folder, settings.tokenizers());
        }
    },
    /** Processors of logits, beams, log-probabilities. */
    SAMPLING("{sampling,processors,beam,logprobs}.jsonl") {
        @Override
        List<CheckReport> run(Path folder, Settings settings) {
            return SamplingCheck.run(folder, settings.options());
        }
    },
    /** Logits and tokens of checkpoints. */
    MODELS("models.jsonl") {
        @Override
        List<CheckReport> run(Path folder, Settings settings) {
            return ModelCheck.run(folder, settings.options());
        }
    },
    /** Prompts and answers. */
    PIPELINE("{generate,postprocess,stop_strings}*.jsonl") {
        @Override
        List<CheckReport> run(Path folder, Settings settings) {
            return PipelineCheck.run(folder, settings.tokenizers(), settings.options());
        }
    },
    /** Files with defects. */
    HOSTILE("manifest.jsonl") {
        @Override
        List<CheckReport> run(Path folder, Settings settings) {
            return List.of(HostileCheck.run(folder, settings.options()));
        }
    };

    private final String files;

    /** @param files glob of the names of files that tell the part */
    GoldenPart(String files) {
        this.files = files;
    }

    /**
     * What the parts are run with.
     *
     * @param tokenizers folder of the tokenizer folders that the goldens name
     * @param options what runs the model, and where
     */
    record Settings(Path tokenizers, DollyOptions options) {}

    /**
     * Runs a part.
     *
     * @param folder the part's folder
     * @throws DollyException if it cannot be read
     */
    abstract List<CheckReport> run(Path folder, Settings settings);

    /** Name of the part and of its folder. */
    String folderName() {
        return NameConverter.name(this);
    }

    /** Whether a folder holds files of this part. */
    boolean isIn(Path folder) {
        PathMatcher matcher = folder.getFileSystem().getPathMatcher("glob:" + files);
        return list(folder).stream().anyMatch(file -> matcher.matches(file.getFileName()));
    }

    /** Names of the folders in a folder, sorted. */
    static List<String> subfolders(Path folder) {
        return list(folder).stream()
                .filter(Files::isDirectory)
                .map(file -> file.getFileName().toString())
                .sorted()
                .toList();
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        } catch (IOException e) {
            throw new DollyException("The folder " + folder + " cannot be listed: " + e.getMessage(), e);
        }
    }
}
