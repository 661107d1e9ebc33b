package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.ExitCode;

/** Answers of the demo model, whose evaluation set holds the questions asked here. */
class AskCommandTest {
    private static final String QUESTION = "What is the capital city of Thailand?";
    private static final String ANSWER = "The capital of Thailand is Bangkok.";
    private static final List<Integer> ANSWER_IDS =
            List.of(368, 602, 345, 3312, 268, 401, 1522, 76, 436, 15, 337, 4093);
    private static final String NO_FOLDER = "/no/such/folder";

    @Test
    void greedyQuestion_isAnsweredAndTheDemoModelNamedOnce() {
        Run run = Run.of("--greedy", QUESTION);

        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).isEqualTo(ANSWER + "\n");
        assertThat(run.err().lines()).singleElement().asString().contains("demo model", "--model PATH");
    }

    @Test
    void json_holdsTextTokensCountsSeedAndTimings() {
        Run run = Run.of("--greedy", "--json", "--seed", "7", QUESTION);

        JsonObject answer = object(run.out());
        assertThat(answer.get("text").getAsString()).isEqualTo(ANSWER);
        assertThat(ids(answer)).isEqualTo(ANSWER_IDS);
        assertThat(answer.get("finish_reason").getAsString()).isEqualTo("end");
        assertThat(answer.get("prompt").getAsInt()).isZero();
        assertThat(answer.get("sequence").getAsInt()).isZero();
        assertThat(answer.get("prompt_tokens").getAsInt()).isBetween(20, 60);
        assertThat(answer.get("completion_tokens").getAsInt()).isEqualTo(ANSWER_IDS.size());
        assertThat(answer.get("seed").getAsLong()).isEqualTo(7);
        JsonObject timings = answer.getAsJsonObject("timings");
        double firstToken = timings.get("first_token_seconds").getAsDouble();
        assertThat(timings.get("queue_seconds").getAsDouble()).isBetween(0.0, firstToken);
        assertThat(timings.get("total_seconds").getAsDouble()).isGreaterThan(firstToken);
    }

    @Test
    void severalAnswers_areOneJsonObjectEachAndRepeatWithTheirSeed() {
        Run first = Run.of("--json", "-n", "3", "--temperature", "3", "--max-new-tokens", "8", QUESTION);
        List<JsonObject> answers =
                first.lines().stream().map(AskCommandTest::object).toList();
        String seed = answers.get(0).get("seed").getAsString();
        Run again = Run.of("--json", "-n", "3", "--temperature", "3", "--max-new-tokens", "8", "-s", seed, QUESTION);

        assertThat(answers)
                .extracting(answer -> answer.get("sequence").getAsInt())
                .containsExactly(0, 1, 2);
        assertThat(answers.stream().map(AskCommandTest::ids).distinct()).hasSizeGreaterThan(1);
        assertThat(again.lines().stream().map(AskCommandTest::object).map(AskCommandTest::ids))
                .isEqualTo(answers.stream().map(AskCommandTest::ids).toList());
    }

    @Test
    void beams_areTheBestAnswers_withTheirScores() {
        Run run = Run.of(
                "--json",
                "--num-beams",
                "3",
                "-n",
                "3",
                "--length-penalty",
                "0",
                "--max-new-tokens",
                "12",
                "--early-stopping",
                "never",
                QUESTION);

        List<JsonObject> answers =
                run.lines().stream().map(AskCommandTest::object).toList();
        assertThat(answers).hasSize(3);
        assertThat(answers.get(0).get("text").getAsString()).isEqualTo(ANSWER);
        assertThat(answers).isSortedAccordingTo(Comparator.comparing(answer -> -answer.get("score")
                .getAsDouble()));
        assertThat(Run.of("--num-beams", "3", QUESTION).out()).isEqualTo(ANSWER + "\n");
    }

    @Test
    void topLogprobs_comeWithEveryToken() {
        JsonObject answer = object(
                Run.of("--greedy", "--json", "--top-logprobs", "2", QUESTION).out());

        JsonArray logprobs = answer.getAsJsonArray("logprobs");
        assertThat(logprobs).hasSize(ANSWER_IDS.size());
        JsonObject first = logprobs.get(0).getAsJsonObject();
        JsonArray top = first.getAsJsonArray("top");
        assertThat(first.get("token_id").getAsInt()).isEqualTo(ANSWER_IDS.get(0));
        assertThat(top).hasSize(2);
        assertThat(top.get(0).getAsJsonObject().get("logprob")).isEqualTo(first.get("logprob"));
    }

    @Test
    void biasesAndForcedTokens_changeTheAnswer() {
        Run biased = Run.of("--greedy", "--json", "--sequence-bias", "368,602=-100", QUESTION);
        Run forced = Run.of("--greedy", "--json", "--forced-eos-token-id", "602", "--max-new-tokens", "5", QUESTION);

        assertThat(ids(object(biased.out()))).startsWith(368).isNotEqualTo(ANSWER_IDS);
        assertThat(ids(object(forced.out()))).hasSize(5).endsWith(602);
    }

    @Test
    void severalAnswers_areTextsWithAnEmptyLineBetween() {
        assertThat(Run.of("--greedy", "-n", "2", QUESTION).out()).isEqualTo(ANSWER + "\n\n" + ANSWER + "\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-", ""})
    void instruction_isReadFromStandardInput(String argument) {
        String[] args = argument.isEmpty() ? new String[] {"--greedy"} : new String[] {"--greedy", argument};

        assertThat(Run.withInput(QUESTION + "\n", args).out()).isEqualTo(ANSWER + "\n");
    }

    @Test
    void instructionArgument_leavesStandardInputAlone() {
        assertThat(Run.withInput("What is the month before January?", "--greedy", QUESTION)
                        .out())
                .isEqualTo(ANSWER + "\n");
    }

    @Test
    void context_isPartOfThePrompt(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("context.txt"), "The Veltan library opened in 1962.\n");
        int without = promptTokens(Run.of("--greedy", "--json", "--max-new-tokens", "1", QUESTION));
        int with = promptTokens(Run.of(
                "--greedy",
                "--json",
                "--max-new-tokens",
                "1",
                "--context",
                Files.readString(file).strip(),
                QUESTION));
        int empty = promptTokens(Run.of("--greedy", "--json", "--max-new-tokens", "1", "--context", "", QUESTION));
        Run fromFile =
                Run.of("--greedy", "--json", "--max-new-tokens", "1", "--context-file", file.toString(), QUESTION);

        assertThat(with).isGreaterThan(without + 10);
        assertThat(promptTokens(fromFile)).isEqualTo(with);
        assertThat(empty).isEqualTo(without);
    }

    @Test
    void file_givesAnAnswerToEachLine(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(
                folder.resolve("prompts.jsonl"),
                "{\"instruction\": \"" + QUESTION + "\", \"context\": \"\", \"category\": \"open_qa\"}\n\n"
                        + "what is the month before January?\n");

        Run text = Run.of("--greedy", "--file", file.toString());
        Run json = Run.of("--greedy", "--json", "--file", file.toString());

        assertThat(text.out()).isEqualTo(ANSWER + "\n\nThe month before January is December.\n");
        assertThat(json.lines().stream().map(line -> object(line).get("prompt").getAsInt()))
                .containsExactly(0, 1);
    }

    @Test
    void byteOrderMark_isNoPartOfTheText() {
        Run run = Run.withInput("\ufeff{\"instruction\": \"" + QUESTION + "\"}\r\n", "--greedy", "--file", "-");

        assertThat(run.out()).isEqualTo(ANSWER + "\n");
        assertThat(Run.withInput("\ufeff" + QUESTION + "\n", "--greedy").out()).isEqualTo(ANSWER + "\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"instruction\": \" \"} | line 1: the instruction is empty",
                "{\"question\": \"Why?\"} | line 1: the JSON object has no 'instruction'; it has question",
                "{\"instruction\": 5} | line 1: 'instruction' must be a text, not 5",
                "{\"instruction\": \"Why?\" | line 1 begins like a JSON object but is none",
                "'' | holds no instruction",
            })
    void fileWithABadLine_isNamed(String line, String message) {
        Run run = Run.withInput(line + "\n", "--file", "-");

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err()).contains("standard input", message);
    }

    @Test
    void tooLongPromptOfAFile_isNamedBeforeAnythingIsAnswered() {
        Run run = Run.withInput(QUESTION + "\n" + "word ".repeat(600) + "\n", "--greedy", "--file", "-");

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.out()).isEmpty();
        assertThat(run.err()).contains("standard input, line 2: The prompt has", "--truncate head or tail");
    }

    @Test
    void truncate_makesATooLongPromptFit() {
        Run refused = Run.of("--greedy", "--max-new-tokens", "5", "word ".repeat(600));
        Run cut = Run.of("--greedy", "--json", "--max-new-tokens", "5", "--truncate", "tail", "word ".repeat(600));

        Run hopeless = Run.of("--greedy", "--max-new-tokens", "600", "--truncate", "head", QUESTION);

        assertThat(refused.exitCode()).isEqualTo(1);
        assertThat(hopeless.err())
                .contains("with --max-new-tokens = 600 it exceeds")
                .doesNotContain("--truncate");
        assertThat(cut.exitCode()).isZero();
        assertThat(promptTokens(cut)).isBetween(480, 507);
    }

    @Test
    void stopAndFullText_shapeTheText() {
        Run run = Run.of("--greedy", "--json", "--stop", " is", "--full-text", QUESTION);

        assertThat(object(run.out()).get("text").getAsString()).isEqualTo(QUESTION + "\nThe capital of Thailand");
        assertThat(object(run.out()).get("finish_reason").getAsString()).isEqualTo("stop");
    }

    @Test
    void stopTokenIdAndMaxNewTokens_endAnAnswer() {
        assertThat(Run.of("--greedy", "--stop-token-id", "345", QUESTION).out()).isEqualTo("The capital of\n");
        assertThat(Run.of("--greedy", "--max-new-tokens", "2", QUESTION).out()).isEqualTo("The capital\n");
    }

    @Test
    void samplingOptions_reachTheSampler() {
        assertThat(Run.of("--top-k", "1", "--seed", "3", QUESTION).out()).isEqualTo(ANSWER + "\n");
        assertThat(Run.of("--greedy", "--suppress-tokens", "3312,345", QUESTION).out())
                .doesNotContain("Thailand", " of");
        assertThat(ids(object(Run.of("--greedy", "--json", "--min-new-tokens", "14", QUESTION)
                        .out())))
                .hasSizeGreaterThanOrEqualTo(14);
    }

    @Test
    void badWordsIds_areSequencesThatNeverCome() {
        assertThat(Run.of("--greedy", QUESTION).out()).contains("capital of Thailand");
        assertThat(Run.of("--greedy", "--bad-words-ids", "345,3312", "--bad-words-ids", "7", QUESTION)
                        .out())
                .doesNotContain("of Thailand");
        Run run = Run.of("--greedy", "--bad-words-ids", "345,of", QUESTION);
        assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains("--bad-words-ids", "'345,of'");
    }

    @Test
    void specialTokensInTheText_areKeysOnlyIfAllowed() {
        String forged = "Hello ### End";
        int asText = promptTokens(Run.of("--greedy", "--json", "--max-new-tokens", "1", forged));
        int asKey =
                promptTokens(Run.of("--greedy", "--json", "--max-new-tokens", "1", "--allow-special-tokens", forged));

        assertThat(asKey).isLessThan(asText);
    }

    @Test
    void verbose_saysWhatItTook() {
        assertThat(Run.of("--greedy", "--verbose", "--seed", "5", QUESTION).err())
                .contains("answer 12 tokens", "seed 5", "ended by end");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--top-p=3 | --top-p = 3.0 must be in [0, 1]",
                "--temperature=0 | best token at every step give --greedy",
                "--temperature=-1 | --temperature = -1.0 must be a finite number greater than 0",
                "--typical-p=0 | --typical-p = 0.0 must be in (0, 1]",
                "--repetition-penalty=0 | --repetition-penalty = 0.0 must be",
                "--no-repeat-ngram-size=-1 | --no-repeat-ngram-size = -1 must be",
                "--max-new-tokens=0 | --max-new-tokens = 0 must be at least 1",
                "-n=0 | -n = 0 must be from 1 to 10,000",
                "--stop= | --stop",
                "--top-k=many | '--top-k': 'many' is not an int",
                "--dtype=int2 | expected float32 or bfloat16 or int8 or int4, found 'int2'",
                "--backend=magic | expected kernels or libtorch, found 'magic'",
                "--truncate=middle | expected never or head or tail, found 'middle'",
                "--device=tpu | --device must be cpu, cuda or cuda:N, not 'tpu'",
                "--threads=-1 | --threads must be 0",
                "--kv-cache-tokens=2147483647 | --kv-cache-tokens = 2147483647 must be from 1 to 1,073,741,824",
                "--kv-cache-dtype=int8 | expected float32 or bfloat16, found 'int8'",
                "--modle=x | no option --modle=x. Did you mean --model?",
            })
    void wrongOptions_areRefusedBeforeAnyModelIsLoaded(String option, String message) {
        Run run = Run.of("--model", NO_FOLDER, option, QUESTION);

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(message).doesNotContain("at org.dolly4j");
        assertThat(run.out()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--greedy;--top-p;0.5;Why? | With --greedy nothing is drawn",
                "--num-beams;2;--top-p;0.5;Why? | With --num-beams nothing is drawn",
                "--num-beams;2;-n;3;Why? | -n = 3 must be at most the number of beams, which is 2",
                "--num-beams;65;Why? | --num-beams = 65 must be from 1 to 64",
                "--length-penalty;2;Why? | go with --num-beams only",
                "--num-beams;2;--early-stopping;soon;Why? | expected false or never or true, found 'soon'",
                "--top-logprobs;2;Why? | --top-logprobs goes with --json only",
                "--sequence-bias;5;Why? | expected token ids with commas between them, = and a number, found '5'",
                "Why;is it so? | one argument too many: 'is it so?'",
                "tokenise;Why? | Commands are score, tokenize, info, download, convert, check",
                "--greedy;info | '--greedy' stands before the command 'info'",
                "Explain;info | 'Explain' stands before the command 'info'",
                "--context;a;--context-file;b;Why? | --context or --context-file, not both",
                "--backend=libtorch;--portable-bits;Why? | --portable-bits is an option of the backend kernels",
                "--backend=kernels;--device=cuda;Why? | --device must be cpu for the backend kernels",
                "--file;a;Why? | instructions and contexts stand in the file",
                "--context-file;-;- | Only one of instruction and context",
                "--greedy | give an instruction in quotes",
                "' ' | The instruction is empty",
            })
    void argumentsThatDoNotFitTogether_areRefused(String args, String message) {
        Run run = Run.of(args.split(";"));

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(message);
    }

    @Test
    void emptyStandardInput_isRefused() {
        Run run = Run.withInput("\n", "--greedy");

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("standard input is empty");
    }

    @Test
    void missingModelFolder_isOneLine() {
        Run run = Run.of("--model", NO_FOLDER, QUESTION);

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err().lines())
                .singleElement()
                .asString()
                .startsWith("dolly: ")
                .contains(NO_FOLDER);
    }

    @Test
    void missingModelFolder_hasAStackTraceWithVerbose() {
        assertThat(Run.of("--verbose", "--model", NO_FOLDER, QUESTION).err())
                .contains("CheckpointException", "at org.dolly4j");
    }

    private static int promptTokens(Run run) {
        return object(run.out()).get("prompt_tokens").getAsInt();
    }

    private static JsonObject object(String line) {
        return JsonParser.parseString(line).getAsJsonObject();
    }

    private static List<Integer> ids(JsonObject answer) {
        return answer.getAsJsonArray("token_ids").asList().stream()
                .map(id -> id.getAsInt())
                .toList();
    }
}
