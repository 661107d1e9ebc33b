package org.dolly4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.PrimitiveIterator;
import java.util.concurrent.Callable;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.dolly4j.ContextLengthException;
import org.dolly4j.Dolly;
import org.dolly4j.DollyException;
import org.dolly4j.GenerationRequest;
import org.dolly4j.GenerationResult;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dolly "instruction"}: answers. */
@Command(
        name = "dolly",
        customSynopsis = {
            "dolly [OPTIONS] INSTRUCTION",
            "       dolly [OPTIONS] --file FILE",
            "       dolly COMMAND [OPTIONS] ...",
        },
        descriptionHeading = "%n",
        description = "Answers an instruction with a Dolly model, on this machine.",
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class,
        commandListHeading = "%nCommands (each has a --help of its own):%n",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:done", "1:failed", "2:used wrongly"},
        footer = {
            "%nExamples:",
            "  dolly --greedy \"What is the capital of Peru?\"",
            "  dolly -m dolly-v2-3b --context-file report.txt \"Summarize this report\"",
            "  dolly --json -n 3 --seed 7 \"Write a haiku\" | jq -r .text%n",
        })
final class AskCommand implements Callable<Integer> {
    private static final String STANDARD_INPUT = "-";

    private final Console console;

    @Spec
    CommandSpec spec;

    @Parameters(
            arity = "0..1",
            paramLabel = "INSTRUCTION",
            description = "What to do, in quotes; - reads it from standard input, as does none if that is no terminal.")
    Optional<String> instruction = Optional.empty();

    @Option(
            names = {"-c", "--context"},
            paramLabel = "TEXT",
            description = "Text that the instruction is about.")
    Optional<String> context = Optional.empty();

    @Option(
            names = "--context-file",
            paramLabel = "FILE",
            description = "File that holds the context; - is standard input.")
    Optional<String> contextFile = Optional.empty();

    @Option(
            names = {"-f", "--file"},
            paramLabel = "FILE",
            description = "File with a prompt in each line: an instruction, or a JSON object with instruction and"
                    + " maybe context; - is standard input.")
    Optional<String> file = Optional.empty();

    @Option(
            names = "--json",
            description =
                    "Print a JSON object for each answer: text, token_ids, finish_reason, counts, seed, timings; with"
                            + " --num-beams its score.")
    boolean json;

    @ArgGroup(validate = false, heading = "%nAnswers:%n")
    RequestArguments request = new RequestArguments();

    @ArgGroup(validate = false, heading = "%nSampling (by default as in Dolly's pipeline: drawn, with --top-p 0.92):%n")
    SamplingArguments sampling = new SamplingArguments();

    @ArgGroup(validate = false, heading = "%nModel:%n")
    ModelArguments model = new ModelArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    AskCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        List<Prompt> prompts = prompts();
        require(json || request.topLogprobs.isEmpty(), "--top-logprobs goes with --json only.");
        // All that is wrong with the values is said before a model is loaded.
        requests(prompts, SamplingOptions::greedy, SamplingOptions::dolly, BeamOptions::of);
        try (OpenModel open = model.load(console)) {
            Dolly dolly = open.dolly();
            List<GenerationRequest> requests =
                    requests(prompts, dolly::greedySampling, dolly::defaultSampling, dolly::beamSearch);
            if (file.isPresent()) {
                answerAll(dolly, prompts, requests);
            } else {
                answer(dolly, requests.get(0));
            }
        }
        return 0;
    }

    private List<GenerationRequest> requests(
            List<Prompt> prompts,
            Supplier<SamplingOptions> greedy,
            Supplier<SamplingOptions> drawn,
            IntFunction<BeamOptions> beams) {
        Optional<BeamOptions> search = request.beams(beams);
        boolean draws = !sampling.greedy && search.isEmpty();
        SamplingOptions options = sampling.over(draws ? drawn.get() : greedy.get(), search.isPresent());
        return prompts.stream()
                .map(prompt -> request.request(prompt, options, search))
                .toList();
    }

    private void answer(Dolly dolly, GenerationRequest asked) {
        GenerationResult result;
        if (json) {
            result = dolly.generate(asked);
            JsonAnswers.print(console.out(), 0, result);
        } else {
            AnswerPrinter printer = new AnswerPrinter(console.out(), request.answers);
            result = dolly.generate(asked, printer::add);
        }
        sayWhatItTook(result);
    }

    private void answerAll(Dolly dolly, List<Prompt> prompts, List<GenerationRequest> requests) {
        requireRoom(dolly, prompts, requests);
        PrimitiveIterator.OfInt index = IntStream.range(0, requests.size()).iterator();
        dolly.generateAll(requests, result -> print(index.nextInt(), result));
    }

    private void print(int index, GenerationResult result) {
        if (json) {
            JsonAnswers.print(console.out(), index, result);
        } else {
            AnswerPrinter.print(console.out(), index, result);
        }
        sayWhatItTook(result);
    }

    /** Finds prompts that are too long before hours are spent on those in front of them. */
    private static void requireRoom(Dolly dolly, List<Prompt> prompts, List<GenerationRequest> requests) {
        for (int i = 0; i < requests.size(); i++) {
            try {
                dolly.promptTokens(requests.get(i));
            } catch (ContextLengthException e) {
                throw new ContextLengthException(prompts.get(i).source() + ": " + e.getMessage(), e);
            }
        }
    }

    private void sayWhatItTook(GenerationResult result) {
        if (common.verbose) {
            console.err().println(AnswerFigures.line(result));
        }
    }

    private List<Prompt> prompts() {
        require(context.isEmpty() || contextFile.isEmpty(), "Give --context or --context-file, not both.");
        if (file.isPresent()) {
            require(
                    instruction.isEmpty() && context.isEmpty() && contextFile.isEmpty(),
                    "With --file, instructions and contexts stand in the file: leave out the others.");
            String name = file.get();
            return Prompt.lines(read(name), name.equals(STANDARD_INPUT) ? "standard input" : name);
        }
        boolean readsContext = contextFile.equals(Optional.of(STANDARD_INPUT));
        boolean readsInstruction = instruction.equals(Optional.of(STANDARD_INPUT))
                || (instruction.isEmpty() && !console.inputIsTerminal() && !readsContext);
        require(!(readsContext && readsInstruction), "Only one of instruction and context can be standard input.");
        require(
                readsInstruction || instruction.isPresent(),
                "Say what to do: give an instruction in quotes, or - to read it from standard input.");
        String text = readsInstruction ? console.readInput() : instruction.get();
        require(
                !readsInstruction || !text.isBlank(),
                "There is no instruction: none was given, and standard input is empty.");
        return List.of(new Prompt(text, contextFile.map(this::read).or(() -> context), ""));
    }

    private String read(String name) {
        if (name.equals(STANDARD_INPUT)) {
            return console.readInput();
        }
        try {
            return Console.text(Files.readAllBytes(Path.of(name)), name);
        } catch (NoSuchFileException e) {
            throw new DollyException("There is no file " + name + ".", e);
        } catch (IOException e) {
            throw new DollyException("The file " + name + " cannot be read: " + e.getMessage(), e);
        }
    }

    private void require(boolean holds, String message) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }
}
