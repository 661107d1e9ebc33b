package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ScoreCommandTest {
    private static final String QUESTION = "What is the capital city of Thailand?";

    @Test
    void answers_areShownInTheirOrder_theOneThatGreedyWritesMarked() {
        Run run = Run.of("score", QUESTION, "The capital of Thailand is Paris.", "The capital of Thailand is Bangkok.");

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines()).hasSize(2);
        assertThat(run.lines().get(0)).matches(" *-[0-9.]+ +[0-9]+ tokens   \"The capital of Thailand is Paris[.]\"");
        assertThat(run.lines().get(1))
                .matches(" *-[0-9.]+ +[0-9]+ tokens [*] \"The capital of Thailand is Bangkok[.]\"");
    }

    @Test
    void json_holdsEveryTokensLogprob() {
        Run run = Run.of("score", "--json", "--top-logprobs", "3", "--raw", "The capital", " of", " city");

        List<JsonObject> scores = run.lines().stream()
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
        assertThat(scores).hasSize(2);
        JsonObject first = scores.get(0);
        assertThat(first.get("continuation").getAsString()).isEqualTo(" of");
        assertThat(first.getAsJsonArray("token_ids")).hasSize(1);
        JsonObject token = first.getAsJsonArray("logprobs").get(0).getAsJsonObject();
        assertThat(token.get("logprob")).isEqualTo(first.get("logprob"));
        assertThat(token.getAsJsonArray("top")).hasSize(3);
        assertThat(first.get("is_greedy").getAsBoolean())
                .isEqualTo(token.getAsJsonArray("top")
                        .get(0)
                        .getAsJsonObject()
                        .get("token_id")
                        .equals(token.get("token_id")));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Why? | Missing required parameter: 'ANSWER'",
                "Why?;'' | A continuation is empty",
                "--raw;--context;a;Why?;b | With --raw there is no template",
                "--top-logprobs;2;Why?;b | --top-logprobs goes with --json only",
                "--json;--top-logprobs;200;Why?;b | --top-logprobs = 200 must be from 0 to 100",
            })
    void wrongArguments_areRefused(String args, String message) {
        Run run = Run.of(("score;" + args.replace("''", "")).split(";", -1));

        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(message);
    }
}
