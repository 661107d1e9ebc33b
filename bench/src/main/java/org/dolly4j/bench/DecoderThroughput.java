package org.dolly4j.bench;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongFunction;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.BuildInfo;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;

/**
 * Times prefill and decode below the facade: our worker of {@code bench/run.sh cpu}. {@code cpu/worker.py} says what
 * it is asked on stdin and answers on stdout, a line of JSON each.
 */
public final class DecoderThroughput {
    private static final Gson GSON = new Gson();

    private final DecoderModel model;

    /** Kept while the same row of the table is timed; its cache holds the contexts. */
    private SequenceBatch sequences;

    private DecoderThroughput(DecoderModel model) {
        this.model = model;
    }

    /**
     * Serves stdin until it ends.
     *
     * @param args folder of the checkpoint, backend, compute type, threads
     */
    public static void main(String[] args) throws IOException {
        PrintStream answers = System.out;
        System.setOut(System.err); // what libraries print must not get between the answers
        Backend backend = Backend.valueOf(args[1].toUpperCase(Locale.ROOT));
        WeightType type = WeightType.valueOf(args[2].toUpperCase(Locale.ROOT));
        ModelOptions options = new ModelOptions(type, backend, "cpu", Integer.parseInt(args[3]), false);
        serve(Path.of(args[0]), options, new InputStreamReader(System.in, StandardCharsets.UTF_8), answers);
    }

    /** Loads the checkpoint and answers the requests. */
    static void serve(Path checkpoint, ModelOptions options, Reader requests, PrintStream answers) throws IOException {
        WeightPlan plan = Family.planFor(Checkpoint.open(checkpoint));
        try (DecoderModel model = DecoderModel.load(plan.spec(), plan.rows(), options)) {
            String version = "dolly4j %s, Java %s".formatted(options.backend(), Runtime.version());
            String features = options.backend() == Backend.KERNELS
                    ? "kernels of " + BuildInfo.current().cpuIsa()
                    : "";
            answers.println(GSON.toJson(Map.of("version", version.toLowerCase(Locale.ROOT), "features", features)));
            DecoderThroughput throughput = new DecoderThroughput(model);
            BufferedReader lines = new BufferedReader(requests);
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                answers.println(GSON.toJson(throughput.answer(GSON.fromJson(line, JsonObject.class))));
            }
            throughput.close();
        }
    }

    private Map<String, Object> answer(JsonObject request) {
        try {
            return switch (request.get("op").getAsString()) {
                case "logits" -> logits(request);
                case "prefill" -> prefill(request);
                case "decode" -> decode(request);
                default -> throw new IllegalArgumentException("unknown request " + request);
            };
        } catch (IOException | RuntimeException e) {
            return Map.of("error", e.toString());
        }
    }

    private Map<String, Object> logits(JsonObject request) throws IOException {
        int[] prompt = GSON.fromJson(request.get("prompt"), int[].class);
        int[] next = GSON.fromJson(request.get("next"), int[].class);
        SequenceBatch one = sequences(1, prompt.length + next.length);
        int vocabulary = model.spec().vocabSize();
        ByteBuffer rows = ByteBuffer.allocate(Float.BYTES * vocabulary * (next.length + 1))
                .order(ByteOrder.LITTLE_ENDIAN);
        FloatBuffer logits = rows.asFloatBuffer();
        logits.put(one.prefill(0, prompt));
        for (int i = 0; i < next.length; i++) {
            logits.put(one.decode(prompt.length + i, new int[] {next[i]}));
        }
        Files.write(Path.of(request.get("path").getAsString()), rows.array());
        return Map.of();
    }

    private Map<String, Object> prefill(JsonObject request) {
        int[] prompt = SequenceBatch.prompt(0, request.get("tokens").getAsInt());
        SequenceBatch one = sequences(1, prompt.length);
        return repeat(request, left -> {
            long start = System.nanoTime();
            one.choose(one.prefill(0, prompt));
            return new Work(prompt.length, System.nanoTime() - start);
        });
    }

    private Map<String, Object> decode(JsonObject request) {
        int batch = request.get("batch").getAsInt();
        int context = request.get("context").getAsInt();
        int steps = request.get("steps").getAsInt();
        SequenceBatch all = sequences(batch, context + steps);
        all.fill(context);
        int[] first = all.choose(all.decode(context, new int[batch])).clone();
        return repeat(request, left -> {
            long start = System.nanoTime();
            int[] tokens = first;
            long elapsed = 0;
            int done = 0;
            while (done < steps && (done == 0 || elapsed < left)) {
                tokens = all.choose(all.decode(context + done, tokens));
                elapsed = System.nanoTime() - start;
                done++;
            }
            return new Work((long) batch * done, elapsed);
        });
    }

    private record Work(long tokens, long nanos) {}

    /** Repeats a run, which is told how many nanoseconds are left. */
    private static Map<String, Object> repeat(JsonObject request, LongFunction<Work> run) {
        long least = (long) (request.get("seconds").getAsDouble() * 1e9);
        long tokens = 0;
        long nanos = 0;
        while (tokens == 0 || nanos < least) {
            Work work = run.apply(least - nanos);
            tokens += work.tokens();
            nanos += work.nanos();
        }
        return Map.of("tokens", tokens, "seconds", nanos / 1e9);
    }

    private SequenceBatch sequences(int count, int length) {
        if (sequences == null || sequences.count() != count || sequences.length() != length) {
            close();
            sequences = new SequenceBatch(model, count, length);
        }
        return sequences;
    }

    private void close() {
        if (sequences != null) {
            sequences.close();
            sequences = null;
        }
    }
}
