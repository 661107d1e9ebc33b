package org.dolly4j.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * What a model folder holds beside config.json and weights: the tokenizer, generation_config.json, licence and model
 * card. Programs are none of it, and neither are folders. A link is followed inside of the folder only, and inside of
 * the hub's cache, where each file of a model is a link: one that a stranger made could put any file of the user into a
 * folder that is then given away.
 *
 * @param copied those that belong to a model, sorted
 * @param others all but these, config.json and weights; sorted
 */
record CompanionFiles(List<Path> copied, List<Path> others) {
    private static final Pattern BELONGS =
            Pattern.compile("[^.].*\\.(json|txt|md|model|jinja)|(license|licence|notice|readme)(\\..*)?");

    private static final Pattern WEIGHTS = Pattern.compile(
            ".*\\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|onnx|gguf|ot)(\\.index\\.json)?|config\\.json");

    /** Finds them. */
    static CompanionFiles in(Path folder) throws IOException {
        List<Path> copied = new ArrayList<>();
        List<Path> others = new ArrayList<>();
        Path home = home(folder);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
                if (WEIGHTS.matcher(name).matches()) {
                    continue;
                }
                boolean belongs = BELONGS.matcher(name).matches()
                        && Files.isRegularFile(file)
                        && file.toRealPath().startsWith(home);
                (belongs ? copied : others).add(file);
            }
        }
        return new CompanionFiles(
                copied.stream().sorted().toList(), others.stream().sorted().toList());
    }

    /** What links may lead into: the folder, or of a snapshot in the hub's cache the folder of its repository. */
    private static Path home(Path folder) throws IOException {
        Path real = folder.toRealPath();
        Path snapshots = real.getParent();
        boolean cached = snapshots != null
                && snapshots.endsWith("snapshots")
                && Files.isDirectory(snapshots.resolveSibling("blobs"));
        return cached ? snapshots.getParent() : real;
    }

    /** Bytes of those that are copied. */
    long bytes() throws IOException {
        long bytes = 0;
        for (Path file : copied) {
            bytes += Files.size(file);
        }
        return bytes;
    }

    /** Copies them, and waits until they are on the disk. */
    void copyTo(Path folder) throws IOException {
        for (Path file : copied) {
            Path copy = folder.resolve(file.getFileName());
            Files.copy(file, copy);
            try (FileChannel open = FileChannel.open(copy, StandardOpenOption.WRITE)) {
                open.force(true);
            }
        }
    }
}
