package org.dolly4j.bench;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.GenerationRequest;
import org.dolly4j.GenerationResult;
import org.dolly4j.WeightCaching;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.SamplingOptions;

/**
 * One start of a model, as {@code bench/start_up.py} measures it: loads it, generates a token after a prompt of 16
 * tokens, and prints a line of JSON with times and memory.
 */
public final class StartUp {
    private static final int PROMPT_TOKENS = 16;

    private static final List<String> OPTIONS = List.of("--model", "--dtype", "--threads", "--cache");

    private StartUp() {}

    /** Runs the tool; exits with 2 if an option is wrong. */
    public static void main(String[] args) throws IOException {
        try {
            run(args);
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage());
            System.err.println("usage: StartUp --model DIR --dtype TYPE [--threads N] [--cache DIR]");
            System.exit(2);
        }
    }

    private static void run(String[] args) throws IOException {
        ToolOptions options = new ToolOptions(args, OPTIONS);
        WeightType type = options.choose("--dtype", WeightType.values(), ToolOptions::label);
        DollyOptions.Builder builder = DollyOptions.builder()
                .dtype(type)
                .threads(Math.toIntExact(options.number("--threads", 0, 0)))
                .weightCache(WeightCaching.OFF);
        options.text("--cache")
                .ifPresent(folder -> builder.weightCache(WeightCaching.ON).cacheDirectory(Path.of(folder)));
        long start = System.nanoTime();
        try (Dolly dolly = Dolly.load(Path.of(options.required("--model")), builder.build())) {
            double loadSeconds = (System.nanoTime() - start) / 1e9;
            GenerationResult result = dolly.generate(request(dolly));
            long sinceJvmStart = System.currentTimeMillis()
                    - ManagementFactory.getRuntimeMXBean().getStartTime();
            JsonObject report = new JsonObject();
            report.addProperty("load_s", loadSeconds);
            report.addProperty("first_token_s", sinceJvmStart / 1e3);
            report.addProperty("token", result.generations().get(0).tokenIds()[0]);
            report.addProperty("weight_bytes", dolly.info().weightBytes());
            report.addProperty("kv_bytes", dolly.info().kvCacheBytes());
            report.addProperty("peak_resident_bytes", peakResidentBytes());
            report.addProperty("peak_heap_bytes", peakHeapBytes());
            System.out.println(report);
        }
    }

    /** Most heap that was in use, garbage included. */
    private static long peakHeapBytes() {
        return ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(pool -> pool.getType() == MemoryType.HEAP)
                .mapToLong(pool -> pool.getPeakUsage().getUsed())
                .sum();
    }

    /** Most memory that this process has had resident, mapped files included: VmHWM of Linux. */
    private static long peakResidentBytes() throws IOException {
        Matcher line = Pattern.compile("VmHWM:\\s*([0-9]+) kB").matcher(Files.readString(Path.of("/proc/self/status")));
        if (!line.find()) {
            throw new IOException("/proc/self/status has no VmHWM");
        }
        return Long.parseLong(line.group(1)) * 1024;
    }

    /** A prompt of so many tokens, whichever they are. */
    private static GenerationRequest request(Dolly dolly) {
        StringBuilder prompt = new StringBuilder("Explain");
        while (true) {
            GenerationRequest request = GenerationRequest.forPrompt(prompt.toString())
                    .maxNewTokens(1)
                    .sampling(SamplingOptions.greedy())
                    .build();
            int tokens = dolly.promptTokens(request).length;
            if (tokens == PROMPT_TOKENS) {
                return request;
            }
            if (tokens > PROMPT_TOKENS) {
                throw new IllegalArgumentException("The tokenizer makes no prompt of " + PROMPT_TOKENS + " tokens.");
            }
            prompt.append(" it");
        }
    }
}
