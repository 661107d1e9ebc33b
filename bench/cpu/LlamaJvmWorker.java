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
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * llama.cpp by de.kherud:llama: java -cp llama.jar:gson.jar LlamaJvmWorker.java GGUF THREADS VERSION. What it is asked, and
 * answers (to file descriptor 3): worker.py. The package takes text, so that prompts are made of words until they have as many tokens.
 */
class LlamaJvmWorker {
    private static final int KNOWN_PROBABILITIES = 200;

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
        }
    }

    private Map<String, Object> answer(JsonObject request) {
        try {
            return switch (request.get("op").getAsString()) {
                case "logits" -> logits(request);
                case "prefill" -> prefill(request);
                default -> decode(request);
            };
        } catch (IOException | RuntimeException e) {
            return Map.of("error", e.toString());
        }
    }

    private Map<String, Object> logits(JsonObject request) throws IOException {
        int[] ids = new Gson().fromJson(request.get("prompt"), int[].class);
        int[] next = new Gson().fromJson(request.get("next"), int[].class);
        int vocabulary = request.get("vocabulary").getAsInt();
        ByteBuffer rows =
                ByteBuffer.allocate(4 * vocabulary * (next.length + 1)).order(ByteOrder.LITTLE_ENDIAN);
        int[] known = Arrays.copyOf(ids, ids.length + next.length);
        System.arraycopy(next, 0, known, ids.length, next.length);
        for (int row = 0; row <= next.length; row++) {
            String text = model.decode(Arrays.copyOf(known, ids.length + row));
            if (!Arrays.equals(model.encode(text), Arrays.copyOf(known, ids.length + row))) {
                return Map.of("error", "the prompt has other tokens: " + Arrays.toString(model.encode(text)));
            }
            InferenceParameters parameters = parameters(text, 1).setNProbs(KNOWN_PROBABILITIES);
            float[] logits = new float[vocabulary];
            Arrays.fill(logits, Float.NaN);
            for (LlamaOutput output : model.generate(parameters)) {
                output.probabilities.forEach((token, probability) -> {
                    int[] id = model.encode(token);
                    if (id.length == 1) {
                        logits[id[0]] = (float) Math.log(probability);
                    }
                });
            }
            for (float logit : logits) {
                rows.putFloat(logit);
            }
        }
        Files.write(Path.of(request.get("path").getAsString()), rows.array());
        return Map.of();
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
            return Map.of("unsupported", "an iterator of one request; there is no call for several at a time");
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
