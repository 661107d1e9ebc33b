package org.dolly4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import org.dolly4j.DollyException;
import org.dolly4j.GenerationRequest;
import org.dolly4j.Truncate;
import org.dolly4j.sampling.SamplingOptions;
import picocli.CommandLine.Option;

/** What a request asks for besides the text and the sampling. */
final class RequestArguments {
    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            description = "Most tokens of an answer; by default 256, or what the context has room for.")
    Optional<Integer> maxNewTokens = Optional.empty();

    @Option(
            names = {"-n", "--num-answers"},
            paramLabel = "N",
            description = "Number of answers to each instruction.")
    int answers = 1;

    @Option(
            names = {"-s", "--seed"},
            paramLabel = "N",
            description = "Key of the random numbers: the same seed gives the same answer.")
    Optional<Long> seed = Optional.empty();

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "Text that ends an answer and is not part of it. May be given more than once.")
    List<String> stopStrings = new ArrayList<>();

    @Option(
            names = "--stop-token-id",
            paramLabel = "ID",
            split = ",",
            description = "Token that ends an answer; its text is part of it. May be given more than once.")
    List<Integer> stopTokenIds = new ArrayList<>();

    @Option(
            names = "--truncate",
            paramLabel = "END",
            converter = NameConverter.Truncations.class,
            completionCandidates = NameConverter.Truncations.class,
            description = "Which end of a text that is too long for the model is cut off: ${COMPLETION-CANDIDATES}."
                    + " By default such a text is refused.")
    Truncate truncate = Truncate.NEVER;

    @Option(
            names = "--allow-special-tokens",
            description = "Take Dolly's keys (### End ...) in the text as keys, as Hugging Face does; by default"
                    + " they are plain text.")
    boolean allowSpecialTokens;

    @Option(names = "--full-text", description = "Show the instruction and then the answer.")
    boolean fullText;

    /**
     * A request for answers to a prompt. Unless given, a seed is drawn that is short enough to be typed again and that
     * no reader of JSON rounds.
     *
     * @throws IllegalArgumentException if a value is out of its range or the instruction is empty
     * @throws DollyException if the instruction is empty and stands in a file
     */
    GenerationRequest request(Prompt prompt, SamplingOptions sampling) {
        if (!prompt.source().isEmpty() && prompt.instruction().isBlank() && !allowSpecialTokens) {
            throw new DollyException(prompt.source() + ": the instruction is empty.");
        }
        GenerationRequest.Builder builder = prompt.context()
                .map(context -> GenerationRequest.forInstruction(prompt.instruction(), context))
                .orElseGet(() -> GenerationRequest.forInstruction(prompt.instruction()))
                .sampling(sampling)
                .sequences(answers)
                .seed(seed.orElseGet(() -> (long) ThreadLocalRandom.current().nextInt(Integer.MAX_VALUE)))
                .stopTokenIds(stopTokenIds)
                .truncate(truncate)
                .allowSpecialTokensInText(allowSpecialTokens)
                .returnFullText(fullText);
        maxNewTokens.ifPresent(builder::maxNewTokens);
        if (!stopStrings.isEmpty()) {
            builder.stopStrings(stopStrings);
        }
        return builder.build();
    }
}
