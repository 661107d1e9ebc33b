import com.google.gson.Gson;
import com.google.gson.JsonObject;
import de.kherud.llama.InferenceParameters;
import de.kherud.llama.LlamaModel;
import de.kherud.llama.LlamaOutput;
import de.kherud.llama.ModelParameters;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * llama.cpp by de.kherud:llama: java -cp llama.jar:gson.jar LlamaJvmWorker.java GGUF THREADS VERSION. worker.py says
 * what it is asked and answers, here to file descriptor 3. The package takes text: prompts are words of one token each.
 */
class LlamaJvmWorker {
    /** A token whose text is half a character, so that it has no id of its own. */
    private static final int UNKNOWN = -1;

    private final LlamaModel model;

    LlamaJvmWorker(LlamaModel model) {
        this.model = model;
    }

    public static void main(String[] args) throws IOException {
        LlamaModel.setLogger(null, (level, message) -> System.err.print(message));
        ModelParameters parameters = new ModelParameters()
                .setModel(args[0])
                .setCtxSize(2048)
                .setThreads(Integer.parseInt(args[1]))
                .setThreadsBatch(Integer.parseInt(args[1]));
        Gson gson = new Gson();
        try (PrintStream answers = new PrintStream(new FileOutputStream("/dev/fd/3"), true, StandardCharsets.UTF_8);
                LlamaModel model = new LlamaModel(parameters)) {
            LlamaJvmWorker worker = new LlamaJvmWorker(model);
            answers.println(gson.toJson(Map.of("version", "de.kherud:llama " + args[2], "features", "")));
            BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
            for (String line = requests.readLine(); line != null; line = requests.readLine()) {
                answers.println(gson.toJson(worker.answer(gson.fromJson(line, JsonObject.class))));
            }
            Runtime.getRuntime().halt(0); // closing the model can wait for ever
        }
    }

    private Map<String, Object> answer(JsonObject request) {
        try {
            return switch (request.get("op").getAsString()) {
                case "logits" -> greedy(request);
                case "prefill" -> prefill(request);
                default -> decode(request);
            };
        } catch (RuntimeException e) {
            return Map.of("error", e.toString());
        }
    }

    /** The package shows no logits (asked for probabilities, it ends the process): the chosen tokens must do. */
    private Map<String, Object> greedy(JsonObject request) {
        int[] prompt = new Gson().fromJson(request.get("prompt"), int[].class);
        int[] next = new Gson().fromJson(request.get("next"), int[].class);
        int[] tokens = Arrays.copyOf(prompt, prompt.length + next.length);
        System.arraycopy(next, 0, tokens, prompt.length, next.length);
        List<Integer> chosen = new ArrayList<>();
        for (int length = prompt.length; length <= tokens.length; length++) {
            int[] context = Arrays.copyOf(tokens, length);
            String text = model.decode(context);
            if (!Arrays.equals(model.encode(text), context)) {
                return Map.of("error", "'" + text + "' has other tokens here");
            }
            int[] found = model.encode(model.complete(parameters(text, 1)));
            chosen.add(found.length == 1 ? found[0] : UNKNOWN);
        }
        return Map.of("greedy", chosen);
    }

    private Map<String, Object> prefill(JsonObject request) {
        int tokens = request.get("tokens").getAsInt();
        InferenceParameters parameters = parameters(text(tokens), 1).setCachePrompt(false);
        double measured = 0;
        int all = 0;
        while (measured < request.get("seconds").getAsDouble() || all == 0) {
            long start = System.nanoTime();
            measured += (arrivals(parameters).get(0) - start) / 1e9;
            all += tokens;
        }
        return Map.of("tokens", all, "seconds", measured);
    }

    private Map<String, Object> decode(JsonObject request) {
        if (request.get("batch").getAsInt() > 1) {
            return Map.of(
                    "unsupported",
                    "slots are fixed when the model is loaded, and divide its context: not one for all rows");
        }
        int steps = request.get("steps").getAsInt();
        InferenceParameters parameters =
                parameters(text(request.get("context").getAsInt()), steps + 1).setCachePrompt(true);
        double measured = 0;
        int all = 0;
        while (measured < request.get("seconds").getAsDouble() || all == 0) {
            List<Long> arrivals = arrivals(parameters);
            measured += (arrivals.get(steps) - arrivals.get(0)) / 1e9;
            all += steps;
        }
        return Map.of("tokens", all, "seconds", measured);
    }

    private List<Long> arrivals(InferenceParameters parameters) {
        List<Long> arrivals = new ArrayList<>();
        for (LlamaOutput output : model.generate(parameters)) {
            arrivals.add(System.nanoTime());
        }
        return arrivals;
    }

    private static InferenceParameters parameters(String prompt, int newTokens) {
        return new InferenceParameters(prompt).setNPredict(newTokens).setTemperature(0).setIgnoreEos(true);
    }

    private String text(int tokens) {
        String text = " the".repeat(tokens);
        int found = model.encode(text).length;
        if (found != tokens) {
            throw new IllegalStateException(tokens + " words have " + found + " tokens");
        }
        return text;
    }
}
