package org.dolly4j.bench;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.dolly4j.tokenizer.Tokenizer;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/**
 * Encodes and decodes real Dolly prompts on one thread. One operation is all texts once; {@code megabytes} is the speed
 * in MB (10^6 bytes) of UTF-8 text per second, {@code cpuSeconds} the share of a core that the thread got.
 *
 * <p>{@code encode} meets the texts again and again, so words come from the cache; {@code encodeCold} forgets all
 * words before each pass over the texts, as a process just started; {@code encodeUnseen} has each letter replaced by a
 * random one, so that nearly every word is new and meets no merge it was trained for. {@code bench/tokenizer_peer.py}
 * times the same four on the tokenizers package. Run from the repository's root, or give the files:
 *
 * <pre>
 * -Ddolly4j.bench.prompts=FILE     a .jsonl with text and ids, as encode_prompts.jsonl of the goldens
 * -Ddolly4j.bench.tokenizer=FILE   GPT-NeoX-20B's tokenizer.json; Dolly's three keys are added to it
 * </pre>
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class TokenizerBenchmark {
    private static final String RESOURCES = "java/core/src/test/resources/";
    private static final Path PROMPTS =
            Path.of(System.getProperty("dolly4j.bench.prompts", RESOURCES + "goldens/tokenizer/encode_prompts.jsonl"));
    private static final Path TOKENIZER = Path.of(
            System.getProperty("dolly4j.bench.tokenizer", RESOURCES + "tokenizers/gpt-neox-20b/tokenizer.json"));

    private final List<String> texts = new ArrayList<>();
    private final List<String> unseen = new ArrayList<>();
    private final List<int[]> ids = new ArrayList<>();
    private double megabytes;
    private Tokenizer tokenizer;

    /** The speed beside JMH's operations per second. */
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    public static class Speed {
        /** Megabytes of text; JMH divides by the time. */
        public double megabytes;

        /** CPU time of the thread; on a busy machine less than the time. */
        public double cpuSeconds;

        private double cpuAtStart;

        /** Notes the CPU time at the start of an iteration. */
        @Setup(Level.Iteration)
        public void start() {
            cpuAtStart = cpuTime();
        }

        private void add(double text) {
            megabytes += text;
            cpuSeconds = cpuTime() - cpuAtStart;
        }

        private static double cpuTime() {
            return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() / 1e9;
        }
    }

    /** Loads texts and tokenizer, and checks that the ids are right; those of scrambled texts see {@link #main}. */
    @Setup
    public void load() throws IOException {
        tokenizer = dollyTokenizer();
        for (String line : Files.readAllLines(PROMPTS)) {
            JsonObject json = JsonParser.parseString(line).getAsJsonObject();
            String text = json.get("text").getAsString();
            int[] expected = ints(json.getAsJsonArray("ids"));
            if (!Arrays.equals(tokenizer.encode(text), expected)
                    || !tokenizer.decode(expected, false).equals(text)) {
                throw new IllegalStateException("wrong ids or text for: " + text);
            }
            texts.add(text);
            ids.add(expected);
            megabytes += text.getBytes(StandardCharsets.UTF_8).length / 1e6;
        }
        unseen.addAll(scramble(texts));
    }

    /** Each letter replaced by a random one: the same sequence as in tokenizer_peer.py. */
    private static List<String> scramble(List<String> texts) {
        List<String> scrambled = new ArrayList<>();
        long random = 1;
        for (String text : texts) {
            char[] letters = text.toCharArray();
            for (int i = 0; i < letters.length; i++) {
                if ((letters[i] | 0x20) >= 'a' && (letters[i] | 0x20) <= 'z') {
                    random = (random * 1103515245 + 12345) & 0x7FFF_FFFF;
                    letters[i] = (char) ('a' + (random >> 16) % 26);
                }
            }
            scrambled.add(new String(letters));
        }
        return scrambled;
    }

    /** Prints the scrambled texts with their ids, one JSON object a line, for tokenizer_peer.py to compare. */
    public static void main(String[] args) throws IOException {
        TokenizerBenchmark benchmark = new TokenizerBenchmark();
        benchmark.load();
        Gson gson = new Gson();
        for (String text : benchmark.unseen) {
            System.out.println(gson.toJson(Map.of("text", text, "ids", benchmark.tokenizer.encode(text))));
        }
    }

    /** Words known from earlier passes. */
    @Benchmark
    public void encode(Speed speed, Blackhole blackhole) {
        encodeAll(texts, speed, blackhole);
    }

    /** No word known at the start of a pass. */
    @Benchmark
    public void encodeCold(Speed speed, Blackhole blackhole) {
        tokenizer.clearCache();
        encodeAll(texts, speed, blackhole);
    }

    /** Nearly every word new. */
    @Benchmark
    public void encodeUnseen(Speed speed, Blackhole blackhole) {
        tokenizer.clearCache();
        encodeAll(unseen, speed, blackhole);
    }

    /** Ids back to text. */
    @Benchmark
    public void decode(Speed speed, Blackhole blackhole) {
        for (int[] text : ids) {
            blackhole.consume(tokenizer.decode(text, false));
        }
        speed.add(megabytes);
    }

    private void encodeAll(List<String> all, Speed speed, Blackhole blackhole) {
        for (String text : all) {
            blackhole.consume(tokenizer.encode(text));
        }
        speed.add(megabytes);
    }

    private static Tokenizer dollyTokenizer() throws IOException {
        Path folder = Files.createTempDirectory("dolly-tokenizer");
        Path json = folder.resolve("tokenizer.json");
        Path map = folder.resolve("special_tokens_map.json");
        Files.copy(TOKENIZER, json);
        Files.writeString(
                map, "{\"additional_special_tokens\": [\"### End\", \"### Instruction:\", \"### Response:\"]}");
        Tokenizer tokenizer = Tokenizer.load(folder);
        Files.delete(json);
        Files.delete(map);
        Files.delete(folder);
        return tokenizer;
    }

    private static int[] ints(JsonArray array) {
        return array.asList().stream().mapToInt(JsonElement::getAsInt).toArray();
    }
}
