package org.dolly4j.cli;

import com.google.gson.JsonObject;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.dolly4j.ContinuationScore;
import org.dolly4j.GenerationRequest;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dolly score}: how likely a model finds given answers. */
@Command(
        name = "score",
        descriptionHeading = "%n",
        description = "Shows how likely the model finds given answers to an instruction: the natural logarithm of their"
                + " probability, tokens, and whether --greedy would write them (*).",
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class,
        footer = {
            "%nExamples:",
            "  dolly score \"Is a whale a fish? Answer yes or no.\" Yes No",
            "  dolly score --raw \"The capital of Peru is\" \" Lima\" \" Quito\"%n",
        })
final class ScoreCommand implements Callable<Integer> {
    private final Console console;

    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "INSTRUCTION", description = "What to do, in quotes.")
    String instruction;

    @Parameters(index = "1..*", arity = "1..*", paramLabel = "ANSWER", description = "Answers, each in quotes.")
    List<String> answers;

    @Option(
            names = {"-c", "--context"},
            paramLabel = "TEXT",
            description = "Text that the instruction is about.")
    Optional<String> context = Optional.empty();

    @Option(
            names = "--raw",
            description =
                    "Take the instruction as a text without Dolly's template, which the answers go on from as they"
                            + " stand.")
    boolean raw;

    @Option(
            names = "--top-logprobs",
            paramLabel = "N",
            description = "With --json: how many of the likeliest tokens at the place of each to show; 1 unless given.")
    Optional<Integer> topLogprobs = Optional.empty();

    @Option(
            names = "--json",
            description = "Print a JSON object for each answer: continuation, logprob, is_greedy, token_ids, logprobs.")
    boolean json;

    @ArgGroup(validate = false, heading = "%nModel:%n")
    ModelArguments model = new ModelArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    ScoreCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        require(json || topLogprobs.isEmpty(), "--top-logprobs goes with --json only.");
        require(!raw || context.isEmpty(), "With --raw there is no template that a --context could stand in.");
        GenerationRequest.Builder prompt = raw
                ? GenerationRequest.forPrompt(instruction)
                : context.map(text -> GenerationRequest.forInstruction(instruction, text))
                        .orElseGet(() -> GenerationRequest.forInstruction(instruction));
        topLogprobs.ifPresent(prompt::topLogprobs);
        GenerationRequest request = prompt.build();
        try (OpenModel open = model.load(console)) {
            open.dolly().score(request, answers).forEach(this::print);
        }
        return 0;
    }

    private void print(ContinuationScore score) {
        if (json) {
            JsonObject object = new JsonObject();
            object.addProperty("continuation", score.continuation());
            JsonAnswers.addLogprob(object, score.logprob());
            object.addProperty("is_greedy", score.isGreedy());
            object.add("token_ids", JsonAnswers.array(score.tokenIds()));
            object.add("logprobs", JsonAnswers.logprobs(score.tokenIds(), score.logprobs()));
            console.out().println(JsonAnswers.GSON.toJson(object));
        } else {
            console.out()
                    .println(String.format(
                            Locale.ROOT,
                            "%10.4f  %3d tokens %s %s",
                            score.logprob(),
                            score.tokenIds().length,
                            score.isGreedy() ? "*" : " ",
                            JsonAnswers.GSON.toJson(score.continuation())));
        }
    }

    private void require(boolean holds, String message) {
        if (!holds) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }
}
