package org.dolly4j.bench;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.GenerationRequest;
import org.dolly4j.runtime.BuildInfo;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.SamplingOptions;

/**
 * Loads the engine as its users would, through {@link Dolly#publisher}: our worker of {@code bench/run.sh serving}.
 * {@code serving/serving_worker.py} says what it is asked on stdin and answers on stdout, a line of JSON each.
 *
 * <p>Prompts recur in a long run, which is not so of users: the prefix cache is off, so that each is read.
 */
public final class ServingLoad {
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();

    /** More than can come in a run: an overloaded side shows by its queue, not by refusing requests. */
    private static final int QUEUED_REQUESTS = 1_000_000;

    private final Dolly dolly;
    private ServingPrompt.Prompts prompts = new ServingPrompt.Prompts(List.of(), List.of());

    private ServingLoad(Dolly dolly) {
        this.dolly = dolly;
    }

    /**
     * Serves stdin until it ends.
     *
     * @param args folder of the checkpoint, backend, compute type, threads, tokens that the KV cache holds
     */
    public static void main(String[] args) throws IOException, InterruptedException {
        PrintStream answers = System.out;
        System.setOut(System.err); // what libraries print must not get between the answers
        DollyOptions options = options(
                Backend.valueOf(args[1].toUpperCase(Locale.ROOT)),
                WeightType.valueOf(args[2].toUpperCase(Locale.ROOT)),
                Integer.parseInt(args[3]),
                Integer.parseInt(args[4]));
        try (Dolly dolly = Dolly.load(Path.of(args[0]), options)) {
            serve(dolly, new InputStreamReader(System.in, StandardCharsets.UTF_8), answers);
        }
    }

    /** How the model of a run is loaded. */
    static DollyOptions options(Backend backend, WeightType type, int threads, int kvCacheTokens) {
        return DollyOptions.builder()
                .backend(backend)
                .dtype(type)
                .threads(threads)
                .kvCacheTokens(kvCacheTokens)
                .maxQueuedRequests(QUEUED_REQUESTS)
                .prefixCache(false)
                // Random weights write in circles, which are too easily drafted.
                .speculation(false)
                .build();
    }

    /** Says what the model is, and answers the requests. */
    static void serve(Dolly dolly, Reader requests, PrintStream answers) throws IOException, InterruptedException {
        Backend backend = dolly.info().backend();
        String version = "dolly4j %s, Java %s".formatted(backend, Runtime.version());
        String features =
                backend == Backend.KERNELS ? "kernels of " + BuildInfo.current().cpuIsa() : "";
        answers.println(GSON.toJson(Map.of("version", version.toLowerCase(Locale.ROOT), "features", features)));
        ServingLoad load = new ServingLoad(dolly);
        BufferedReader lines = new BufferedReader(requests);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answers.println(load.answer(GSON.fromJson(line, JsonObject.class)));
        }
    }

    private JsonElement answer(JsonObject request) throws InterruptedException {
        try {
            return switch (request.get("op").getAsString()) {
                case "prompts" -> prompts(request);
                case "logits" -> logits(request);
                case "together" -> together(request);
                case "closed" -> closed(request);
                case "arrivals" -> arrivals(request);
                default -> throw new IllegalArgumentException("unknown request " + request);
            };
        } catch (IOException | RuntimeException e) {
            return GSON.toJsonTree(Map.of("error", e.toString()));
        }
    }

    /** Takes the prompts of a file, if their tokens are those that the model is given. */
    private JsonElement prompts(JsonObject request) throws IOException {
        ServingPrompt.Prompts read =
                ServingPrompt.Prompts.read(Path.of(request.get("path").getAsString()));
        List<ServingPrompt> all = new ArrayList<>(read.prompts());
        all.addAll(read.longPrompts());
        for (ServingPrompt prompt : all) {
            int[] ours = dolly.promptTokens(ServingRun.generation(prompt, SamplingOptions.greedy()));
            if (!Arrays.equals(ours, ids(prompt))) {
                throw new IllegalArgumentException(
                        "The prompt '%s' has other tokens than the file says.".formatted(prompt.text()));
            }
        }
        prompts = read;
        return new JsonObject();
    }

    private static int[] ids(ServingPrompt prompt) {
        return prompt.tokens().stream().mapToInt(Integer::intValue).toArray();
    }

    /** The facade shows no logits: its choices after the prompt and after each token that follows. */
    private JsonElement logits(JsonObject request) {
        int[] prompt = GSON.fromJson(request.get("prompt"), int[].class);
        int[] next = GSON.fromJson(request.get("next"), int[].class);
        int[] choices = new int[next.length + 1];
        for (int i = 0; i <= next.length; i++) {
            int[] tokens = Arrays.copyOf(prompt, prompt.length + i);
            System.arraycopy(next, 0, tokens, prompt.length, i);
            choices[i] = choiceAfter(tokens);
        }
        return GSON.toJsonTree(Map.of("greedy", choices));
    }

    /** The best token after a prompt; -1 if these tokens are not those of a text. */
    private int choiceAfter(int[] tokens) {
        String text = dolly.tokenizer().decode(tokens, false);
        GenerationRequest request =
                ServingRun.generation(new ServingPrompt(text, List.of(), 1), SamplingOptions.greedy());
        return Arrays.equals(dolly.promptTokens(request), tokens)
                ? dolly.generate(request).generations().get(0).tokenIds()[0]
                : -1;
    }

    private JsonElement together(JsonObject request) throws InterruptedException {
        List<ServingPrompt> chosen = new ArrayList<>();
        for (JsonElement each : request.getAsJsonArray("requests")) {
            JsonObject one = each.getAsJsonObject();
            ServingPrompt prompt = prompts.prompts().get(one.get("prompt").getAsInt());
            chosen.add(new ServingPrompt(
                    prompt.text(), prompt.tokens(), one.get("new").getAsInt()));
        }
        ServingRun run =
                new ServingRun(dolly, request.has("sampled") ? SamplingOptions.dolly() : SamplingOptions.greedy());
        run.sendTogether(chosen, request.get("seconds").getAsDouble());
        return ended(run, 0);
    }

    private JsonElement closed(JsonObject request) throws InterruptedException {
        ServingRun run = new ServingRun(dolly);
        AtomicInteger next = new AtomicInteger(request.get("first").getAsInt());
        for (int user = 0; user < request.get("users").getAsInt(); user++) {
            run.sendInTurn("user", prompts.prompts(), next);
        }
        if (request.get("long").getAsBoolean()) {
            run.sendInTurn("long", prompts.longPrompts(), new AtomicInteger());
        }
        return endedInTime(run, request);
    }

    private JsonElement arrivals(JsonObject request) throws InterruptedException {
        ServingRun run = new ServingRun(dolly);
        int next = request.get("first").getAsInt();
        for (double time : GSON.fromJson(request.get("times"), double[].class)) {
            run.waitUntil(time);
            run.send("user", prompts.prompts().get(next++ % prompts.prompts().size()), answered -> {});
        }
        return endedInTime(run, request);
    }

    private JsonElement endedInTime(ServingRun run, JsonObject request) throws InterruptedException {
        double warm = request.get("warm").getAsDouble();
        run.waitUntil(warm + request.get("seconds").getAsDouble());
        return ended(run, warm);
    }

    private JsonElement ended(ServingRun run, double begin) {
        double end = run.now();
        List<ServingRequest.Seen> requests = run.end();
        waitUntilIdle();
        return report(begin, end, requests);
    }

    /**
     * Cancelled requests end within a step, and a request that begins later ends after that: the CPUs are free then.
     */
    private void waitUntilIdle() {
        dolly.generate(ServingRun.generation(new ServingPrompt("a", List.of(), 1), SamplingOptions.greedy()));
    }

    private static JsonElement report(double begin, double end, List<ServingRequest.Seen> requests) {
        JsonObject report = new JsonObject();
        report.add("window", GSON.toJsonTree(new double[] {begin, end}));
        report.add("requests", GSON.toJsonTree(requests));
        return report;
    }
}
