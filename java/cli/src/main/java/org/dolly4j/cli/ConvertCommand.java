package org.dolly4j.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.checkpoint.CheckpointConverter;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.hub.Hub;
import org.dolly4j.model.Family;
import org.dolly4j.model.TensorRoles;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code dolly convert}: writes a model folder anew in safetensors. Needs no native code. */
@Command(
        name = "convert",
        descriptionHeading = "%n",
        description = {
            "Writes a model folder anew with its weights in safetensors, as Hugging Face does, from safetensors or"
                    + " pytorch_model.bin files.",
            "The new folder appears when it is complete. Programs in the old one are neither run nor copied.",
        },
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class,
        footer = {
            "%nExample:",
            "  dolly convert dolly-v2-3b dolly-v2-3b-bf16 --dtype bfloat16%n",
        })
final class ConvertCommand implements Callable<Integer> {
    /** Most names listed in a note. */
    private static final int NAMES_SHOWN = 5;

    /** What a model needs beside its weights; left behind where its link leads elsewhere, or nowhere. */
    private static final Set<String> TOKENIZER_FILES = Set.of("tokenizer.json", "vocab.json", "merges.txt");

    private static final Set<String> GENERATION_FILES = Set.of("generation_config.json");

    private static final long NANOS_BETWEEN_LINES = 5_000_000_000L;

    private final Console console;

    @Parameters(
            index = "0",
            paramLabel = "SRC",
            description = "Folder of the model, or its id on the Hugging Face hub, from where it is downloaded.")
    String model;

    @Parameters(index = "1", paramLabel = "DST", description = "Folder to be made.")
    Path target;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "keep",
            converter = Types.class,
            completionCandidates = Types.class,
            description = "Element type of the new weights: ${COMPLETION-CANDIDATES}; keep, the default, is the old"
                    + " one.")
    Type dtype = Type.KEEP;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            defaultValue = "safetensors",
            converter = Formats.class,
            completionCandidates = Formats.class,
            description = "How the new weights are held: ${COMPLETION-CANDIDATES}.")
    Format format = Format.SAFETENSORS;

    @Option(
            names = "--max-shard-size",
            paramLabel = "SIZE",
            converter = ByteSize.class,
            description = "Most bytes of weights in a file, such as 5GB; 50GB by default.")
    long maxShardSize = CheckpointConverter.DEFAULT_MAX_SHARD_BYTES;

    @Mixin
    HubArguments hub = new HubArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    private volatile boolean interrupted;
    private long lastLine = System.nanoTime();

    ConvertCommand(Console console) {
        this.console = console;
    }

    /** Element types to choose from. */
    enum Type {
        KEEP(Optional.empty()),
        FLOAT32(Optional.of(DType.FLOAT32)),
        BFLOAT16(Optional.of(DType.BFLOAT16)),
        FLOAT16(Optional.of(DType.FLOAT16));

        private final Optional<DType> dtype;

        Type(Optional<DType> dtype) {
            this.dtype = dtype;
        }
    }

    /** Formats to choose from. */
    enum Format {
        SAFETENSORS
    }

    /** Names of element types. */
    static final class Types extends NameConverter<Type> {
        Types() {
            super(Type.class);
        }
    }

    /** Names of formats. */
    static final class Formats extends NameConverter<Format> {
        Formats() {
            super(Format.class);
        }
    }

    @Override
    public Integer call() {
        CountDownLatch ended = new CountDownLatch(1);
        // Told to end (Ctrl-C, SIGTERM), the process waits until what was written is deleted.
        Thread hook = new Thread(
                () -> {
                    interrupted = true;
                    awaitQuietly(ended);
                },
                "dolly4j-interruption");
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            convert();
            return 0;
        } finally {
            ended.countDown();
            if (!interrupted) {
                removeQuietly(hook);
            }
        }
    }

    private void convert() {
        Path source = hub.path(model, console, Hub::download);
        Checkpoint checkpoint = Checkpoint.open(source);
        TensorRoles roles = Family.of(checkpoint.config()).roles(checkpoint);
        CheckpointConverter converter =
                new CheckpointConverter(checkpoint, roles.redundant(), dtype.dtype, maxShardSize);
        CheckpointConverter.Result result = converter.convertTo(target, this::say);
        note("left out, as Hugging Face does without", List.copyOf(roles.redundant()));
        note("kept, though the family has no such tensors", roles.unknown());
        note("not copied", result.notCopied());
        warnOfMissing("tokenizer", TOKENIZER_FILES, source, result);
        warnOfMissing("settings of generation", GENERATION_FILES, source, result);
        console.out()
                .println(String.format(
                        Locale.ROOT,
                        "%s: %,d tensors, %s in %s",
                        result.folder(),
                        result.tensors(),
                        ByteSize.text(result.bytes()),
                        result.weightFiles().size() == 1
                                ? result.weightFiles().get(0)
                                : result.weightFiles().size() + " files"));
    }

    /** A line every few seconds: what it is written to may be a file. */
    private void say(long bytes, long total) {
        if (interrupted) {
            throw new CancellationException("The conversion was interrupted.");
        }
        if (System.nanoTime() - lastLine >= NANOS_BETWEEN_LINES) {
            lastLine = System.nanoTime();
            console.err()
                    .println(String.format(
                            Locale.ROOT,
                            "dolly: %s of %s written (%.0f %%)",
                            ByteSize.text(bytes),
                            ByteSize.text(total),
                            100.0 * bytes / total));
        }
    }

    private void note(String what, List<String> names) {
        if (!names.isEmpty()) {
            int more = names.size() - NAMES_SHOWN;
            console.err()
                    .println("dolly: " + what + ": "
                            + String.join(
                                    ", ",
                                    names.stream().sorted().limit(NAMES_SHOWN).toList())
                            + (more > 0 ? " and " + more + " more" : ""));
        }
    }

    private void warnOfMissing(String what, Set<String> files, Path source, CheckpointConverter.Result result) {
        List<String> missing =
                result.notCopied().stream().filter(files::contains).sorted().toList();
        if (!missing.isEmpty()) {
            console.err()
                    .println("dolly: WARNING: the new folder lacks its " + what + ": " + String.join(", ", missing)
                            + " was not copied, since links that lead out of " + source + " are not followed. Copy it"
                            + " to " + result.folder() + " yourself.");
        }
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void removeQuietly(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process is being ended; there is nothing left to delete.
        }
    }
}
