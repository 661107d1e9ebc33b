package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServingLoadTest {
    private static final String TOGETHER =
            "{\"op\": \"together\", \"requests\": [%s], \"seconds\": 1000, \"room\": 512}";
    private static final String CLOSED = "{\"op\": \"closed\", \"users\": %d, \"first\": 1, \"long\": %b,"
            + " \"warm\": 0.2, \"seconds\": 1, \"room\": 512}";
    private static final List<String> QUESTIONS = List.of(
            "What is the capital city of Thailand?",
            "what is the month before January, in a year that begins with January?",
            "What is the capital of Nigeria, what is the largest city there, and which of the two is the older one?");

    @TempDir
    private static Path folder;

    private static Dolly dolly;
    private static String prompts;

    @BeforeAll
    static void load() throws IOException {
        dolly = Dolly.demo(ServingLoad.options(Backend.KERNELS, WeightType.BFLOAT16, 2, 4096));
        List<Map<String, Object>> asked = new ArrayList<>();
        for (String question : QUESTIONS) {
            String text = "### Instruction:\n" + question + "\n\n### Response:\n";
            asked.add(Map.of("text", text, "tokens", tokens(text), "new", 5 + asked.size()));
        }
        String text = "### Instruction:\n" + "Why is the sky blue? ".repeat(40);
        Map<String, Object> longOne = Map.of("text", text, "tokens", tokens(text), "new", 2);
        prompts = write("prompts.json", Map.of("prompts", asked, "long", List.of(longOne)));
    }

    @AfterAll
    static void close() {
        dolly.close();
    }

    private static int[] tokens(String text) {
        return dolly.promptTokens(
                GenerationRequest.forPrompt(text).maxNewTokens(1).build());
    }

    /** Returns the request that takes the file. */
    private static String write(String name, Object content) throws IOException {
        Path file = folder.resolve(name);
        Files.writeString(file, new Gson().toJson(content));
        return "{\"op\": \"prompts\", \"path\": \"%s\"}".formatted(file);
    }

    /** The answers to requests, without the line that says what the worker is. */
    private static List<JsonObject> ask(String... requests) throws IOException, InterruptedException {
        ByteArrayOutputStream answers = new ByteArrayOutputStream();
        ServingLoad.serve(
                dolly,
                new StringReader(String.join("\n", requests)),
                new PrintStream(answers, true, StandardCharsets.UTF_8));
        return answers.toString(StandardCharsets.UTF_8)
                .lines()
                .skip(1)
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
    }

    private static List<JsonObject> requests(JsonObject answer) {
        return StreamSupport.stream(answer.getAsJsonArray("requests").spliterator(), false)
                .map(JsonElement::getAsJsonObject)
                .toList();
    }

    private static double[] times(JsonObject request) {
        return new Gson().fromJson(request.get("times"), double[].class);
    }

    private static boolean isAnswered(JsonObject request) {
        return !request.get("started").isJsonNull();
    }

    private static int promptTokens(JsonObject request) {
        return request.get("prompt").getAsInt();
    }

    @Test
    void requestsTogether_getTheAnswersThatTheyGetAlone() throws Exception {
        String first = "{\"prompt\": 0, \"new\": 30}";
        String second = "{\"prompt\": 2, \"new\": 4}";
        List<JsonObject> answers = ask(
                prompts,
                TOGETHER.formatted(first),
                TOGETHER.formatted(second),
                TOGETHER.formatted(first + ", " + second));
        List<JsonArray> alone = List.of(
                requests(answers.get(1)).get(0).getAsJsonArray("ids"),
                requests(answers.get(2)).get(0).getAsJsonArray("ids"));
        assertThat(alone)
                .extracting(JsonArray::size)
                .as("no end of the answer before its length")
                .containsExactly(30, 4);
        assertThat(requests(answers.get(3)))
                .extracting(request -> request.getAsJsonArray("ids"))
                .containsExactlyElementsOf(alone);
    }

    @Test
    void users_sendTheNextPromptInTurn_whenTheLastIsAnswered() throws Exception {
        JsonObject answer = ask(prompts, CLOSED.formatted(2, false)).get(1);
        List<JsonObject> sent = requests(answer);
        List<JsonObject> answered =
                sent.stream().filter(ServingLoadTest::isAnswered).toList();
        assertThat(sent).as("more than the first of each user").hasSizeGreaterThan(2);
        assertThat(sent.size() - answered.size()).as("in flight at the end").isBetween(0, 2);
        int[] lengths = IntStream.range(0, QUESTIONS.size())
                .map(i -> tokens("### Instruction:\n" + QUESTIONS.get(i) + "\n\n### Response:\n").length)
                .toArray();
        assertThat(lengths).as("prompts are told apart by them").doesNotHaveDuplicates();
        for (JsonObject request : answered) {
            int index = IntStream.range(0, lengths.length)
                    .filter(i -> lengths[i] == promptTokens(request))
                    .findFirst()
                    .orElseThrow();
            double[] times = times(request);
            assertThat(times).as("one for each new token").hasSize(5 + index).isSorted();
            assertThat(request.get("submitted").getAsDouble())
                    .isLessThanOrEqualTo(request.get("started").getAsDouble());
            assertThat(request.get("started").getAsDouble()).isLessThan(times[0]);
        }
        assertThat(sent.stream().limit(2).mapToInt(ServingLoadTest::promptTokens))
                .as("the first is that of index 1")
                .containsExactly(lengths[1], lengths[2]);
        for (JsonObject request : sent) {
            double at = request.get("submitted").getAsDouble();
            assertThat(sent.stream().filter(other -> isOpen(other, at)).count())
                    .as("sent at a time and not answered before it")
                    .isLessThanOrEqualTo(2);
        }
    }

    private static boolean isOpen(JsonObject request, double at) {
        double[] times = times(request);
        return request.get("submitted").getAsDouble() <= at && !(isAnswered(request) && times[times.length - 1] < at);
    }

    @Test
    void longPrompts_areReadOneAfterTheOther_besideTheUsers() throws Exception {
        List<JsonObject> sent = requests(ask(prompts, CLOSED.formatted(3, true)).get(1));
        assertThat(sent.stream().limit(4))
                .extracting(each -> each.get("kind").getAsString())
                .containsExactly("user", "user", "user", "long");
        assertThat(sent.stream().filter(each -> "long".equals(each.get("kind").getAsString())))
                .allMatch(each -> promptTokens(each) > 200);
    }

    @Test
    void arrivals_areSentAtTheirTimes_whateverIsAnswered() throws Exception {
        double[] times = {0, 0, 0.1, 0.3, 0.9};
        String request =
                "{\"op\": \"arrivals\", \"times\": %s, \"users\": 1, \"first\": 2, \"warm\": 0.1, \"seconds\": 1.0,"
                        + " \"room\": 512}";
        JsonObject answer =
                ask(prompts, request.formatted(Arrays.toString(times))).get(1);
        List<JsonObject> sent = requests(answer);
        assertThat(sent).hasSize(times.length);
        for (int i = 0; i < times.length; i++) {
            assertThat(sent.get(i).get("submitted").getAsDouble()).isGreaterThanOrEqualTo(times[i]);
        }
        assertThat(answer.getAsJsonArray("window").get(0).getAsDouble()).isEqualTo(0.1);
        assertThat(answer.getAsJsonArray("window").get(1).getAsDouble()).isGreaterThanOrEqualTo(1.1);
    }

    @Test
    void promptWhoseTokensAreOthers_isRefused() throws Exception {
        Map<String, Object> wrong = Map.of("text", "Hello", "tokens", List.of(1, 2, 3), "new", 1);
        String request = write("wrong.json", Map.of("prompts", List.of(wrong), "long", List.of()));
        assertThat(ask(request).get(0).get("error").getAsString()).contains("'Hello' has other tokens");
    }

    @Test
    void choices_areThoseAfterThePrompt_andAfterEachTokenThatFollows() throws Exception {
        int[] prompt = tokens("### Instruction:\n" + QUESTIONS.get(0) + "\n\n### Response:\n");
        List<JsonObject> answers = ask(prompts, TOGETHER.formatted("{\"prompt\": 0, \"new\": 3}"));
        int[] ids = new Gson().fromJson(requests(answers.get(1)).get(0).get("ids"), int[].class);
        String request = "{\"op\": \"logits\", \"prompt\": %s, \"next\": [%d, %d], \"path\": \"\"}";
        JsonObject choices =
                ask(request.formatted(Arrays.toString(prompt), ids[0], ids[1])).get(0);
        assertThat(new Gson().fromJson(choices.get("greedy"), int[].class)).containsExactly(ids);
    }
}
