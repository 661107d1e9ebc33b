package org.dolly4j.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.dolly4j.DollyException;
import org.dolly4j.DollyOptions;
import org.dolly4j.check.CheckReport;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dolly check}: compares this build with reference outputs of Hugging Face. */
@Command(
        name = "check",
        descriptionHeading = "%n",
        description = {
            "Compares this build, on this machine, with reference outputs of Hugging Face.",
            "A folder of such outputs (goldens) has a folder for each part: tokenizer, sampling, models, pipeline,"
                    + " hostile. Those that are there are run.",
        },
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class,
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:nothing failed", "1:something failed", "2:used wrongly, or nothing to check"})
final class CheckCommand implements Callable<Integer> {
    /** System property by which the launcher of a clone names the goldens of the repository. */
    static final String GOLDENS_PROPERTY = "dolly4j.goldens.dir";

    private final Console console;

    @Spec
    CommandSpec spec;

    @Parameters(
            arity = "0..1",
            paramLabel = "DIR",
            description = "The goldens, or one part of them; by default, in a clone of the repository, its own.")
    Optional<Path> given = Optional.empty();

    @Option(
            names = "--tokenizers",
            paramLabel = "DIR",
            description = "Folder of the tokenizer folders that the goldens name; by default the folder that the"
                    + " goldens are in. Dolly's are made from tokenizers/gpt-neox-20b if that is there.")
    Optional<Path> tokenizers = Optional.empty();

    @Mixin
    BackendArguments backend = new BackendArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    CheckCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        DollyOptions options = backend.options().build();
        Path folder = given.or(() -> Optional.ofNullable(System.getProperty(GOLDENS_PROPERTY))
                        .map(Path::of))
                .orElseThrow(() -> wrongUse("Give a folder of goldens."));
        Path root = folder.toAbsolutePath().normalize();
        require(Files.isDirectory(root), "There is no folder " + folder + ".");
        Map<GoldenPart, Path> parts = partsIn(root);
        Path goldens = root;
        if (parts.isEmpty()) {
            parts = onePart(root);
            goldens = root.getParent();
        }
        require(
                !parts.isEmpty(),
                "The folder " + folder + " holds nothing to check: it has none of the folders "
                        + String.join(
                                ", ",
                                Arrays.stream(GoldenPart.values())
                                        .map(GoldenPart::folderName)
                                        .toList())
                        + " with goldens in it.");
        Path beside = goldens.getParent() == null ? goldens : goldens.getParent();
        CheckPrinter printer = new CheckPrinter(console, common.verbose);
        try (TokenizerFolders folders = tokenizers
                .map(path -> new TokenizerFolders(path, false))
                .orElseGet(() -> TokenizerFolders.beside(beside))) {
            GoldenPart.Settings settings = new GoldenPart.Settings(folders.path(), options);
            parts.forEach((part, path) -> run(part, path, settings, printer));
        }
        if (goldens.equals(root)) {
            reportUnknown(root, printer);
        }
        printer.summary();
        if (printer.nothingChecked()) {
            throw wrongUse("Nothing was checked: the goldens hold no case that can be run.");
        }
        return printer.nothingFailed() ? ExitCode.OK : ExitCode.SOFTWARE;
    }

    private static Map<GoldenPart, Path> partsIn(Path root) {
        Map<GoldenPart, Path> parts = new EnumMap<>(GoldenPart.class);
        for (GoldenPart part : GoldenPart.values()) {
            Path path = root.resolve(part.folderName());
            if (Files.isDirectory(path) && part.isIn(path)) {
                parts.put(part, path);
            }
        }
        return parts;
    }

    /** The one part whose files are in the folder itself, if it is named after a part. */
    private static Map<GoldenPart, Path> onePart(Path root) {
        Map<GoldenPart, Path> parts = new EnumMap<>(GoldenPart.class);
        for (GoldenPart part : GoldenPart.values()) {
            if (root.endsWith(part.folderName()) && part.isIn(root)) {
                parts.put(part, root);
            }
        }
        return parts;
    }

    private static void run(GoldenPart part, Path path, GoldenPart.Settings settings, CheckPrinter printer) {
        printer.begin(part.folderName());
        long start = System.nanoTime();
        List<CheckReport> reports;
        try {
            reports = part.run(path, settings);
        } catch (DollyException | IllegalArgumentException e) {
            // What cannot even be read has not passed; the other parts can still be checked.
            CheckReport report = new CheckReport(part.folderName());
            report.fail("all", String.valueOf(e.getMessage()));
            reports = List.of(report);
        }
        printer.end(reports, (System.nanoTime() - start) / 1e9);
    }

    private static void reportUnknown(Path root, CheckPrinter printer) {
        for (String name : GoldenPart.subfolders(root)) {
            if (Arrays.stream(GoldenPart.values())
                    .noneMatch(part -> part.folderName().equals(name) && part.isIn(root.resolve(name)))) {
                CheckReport report = new CheckReport(name);
                report.skip(name, "this version does not know what it holds");
                printer.begin(name);
                printer.end(List.of(report), 0);
            }
        }
    }

    private void require(boolean holds, String message) {
        if (!holds) {
            throw wrongUse(message);
        }
    }

    private ParameterException wrongUse(String message) {
        return new ParameterException(spec.commandLine(), message);
    }
}
