package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What log, flight recording and metrics say of one run, which is a JVM of its own that logs all it can. */
@Timeout(120)
class WatchingTest {
    private static final String SECRET = "Zanzibarquartz";
    private static final String QUESTION =
            "Tell " + SECRET + " about foxes, owls, hares and the moon over the old mill.";

    @TempDir
    static Path folder;

    private static String log;
    private static List<RecordedEvent> steps;
    private static List<RecordedEvent> requests;
    private static Path recording;

    /** Two equal requests, one that is cancelled as it waits, two refused, a subscriber that throws, and a deadline. */
    static final class Run {
        public static void main(String[] arguments) throws Exception {
            DollyOptions options = DollyOptions.builder()
                    // Steps do not depend on how long they take.
                    .maxStepMillis(60_000)
                    .speculation(false)
                    .tokenizer(TestTokenizers.published())
                    .threads(1)
                    .dtype(WeightType.FLOAT32) // the same answers on all CPUs
                    .maxQueuedRequests(1)
                    .build();
            try (Recording recorded = new Recording()) {
                recorded.enable("org.dolly4j.Step");
                recorded.enable("org.dolly4j.Request");
                recorded.start();
                try (Dolly dolly =
                        Dolly.load(TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-ends"), options)) {
                    run(dolly);
                    System.out.println(dolly.metrics());
                }
                recorded.dump(Path.of(arguments[0]));
            }
        }

        private static void run(Dolly dolly) throws Exception {
            for (int i = 0; i < 2; i++) {
                GenerationResult result = dolly.generate(ask().sequences(2).build());
                System.out.println("tokens " + result.completionTokens() + ", prompt " + result.promptTokens());
                for (Generation answer : result.generations()) {
                    System.out.println("answer: " + answer.text().replace('\n', ' '));
                }
            }
            dolly.generate(ask().deadline(Duration.ofNanos(1)).build());
            // So long that it has not ended when its subscriber throws.
            GenerationRequest brokenOff = ask().maxNewTokens(1500)
                    .sampling(SamplingOptions.builder().minNewTokens(1500).build())
                    .build();
            dolly.publisher(brokenOff).subscribe(new Throwing());
            while (dolly.metrics().requests().cancelled() == 0) {
                if (dolly.metrics().requests().completed() > 2) {
                    throw new AssertionError("the request whose subscriber threw went on to its end");
                }
                Thread.sleep(1);
            }
            int refused = 0;
            while (refused < 2) {
                List<CompletableFuture<GenerationResult>> many = new ArrayList<>();
                try {
                    for (int i = 0; i < 50; i++) {
                        many.add(dolly.submit(ask().build()));
                    }
                } catch (EngineOverloadedException e) {
                    refused++;
                }
                many.forEach(one -> one.cancel(true));
            }
        }

        private static GenerationRequest.Builder ask() {
            return GenerationRequest.forInstruction(QUESTION).maxNewTokens(12).seed(7);
        }
    }

    private static final class Throwing implements Flow.Subscriber<TextPiece> {
        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(TextPiece piece) {
            throw new IllegalStateException("deliberate");
        }

        @Override
        public void onError(Throwable failure) {}

        @Override
        public void onComplete() {}
    }

    @BeforeAll
    static void run() throws Exception {
        recording = folder.resolve("run.jfr");
        JavaProcess process = new JavaProcess(Run.class, recording.toString());
        process.options.add("-Dorg.slf4j.simpleLogger.log.org.dolly4j=debug");
        log = process.output();
        steps = new ArrayList<>();
        requests = new ArrayList<>();
        for (RecordedEvent event : RecordingFile.readAllEvents(recording)) {
            (event.getEventType().getName().equals("org.dolly4j.Step") ? steps : requests).add(event);
        }
        requests.sort((one, other) -> Long.compare(one.getLong("number"), other.getLong("number")));
    }

    private static long tokens(int request) {
        return Long.parseLong(log.lines()
                .filter(line -> line.startsWith("tokens "))
                .skip(request)
                .findFirst()
                .orElseThrow()
                .replaceAll("tokens (\\d+),.*", "$1"));
    }

    private static int promptTokens() {
        return Integer.parseInt(log.lines()
                .filter(line -> line.startsWith("tokens "))
                .findFirst()
                .orElseThrow()
                .replaceAll(".*prompt ", ""));
    }

    @Test
    void requests_areEventsWithTheirNumbers() {
        int prompt = promptTokens();
        for (int i = 0; i < 2; i++) {
            RecordedEvent event = requests.get(i);
            assertThat(event.getInt("promptTokens")).isEqualTo(prompt);
            assertThat(event.getInt("cachedTokens")).isEqualTo(i * ((prompt - 1) / 16 * 16));
            assertThat(event.getLong("generatedTokens")).isEqualTo(tokens(i));
            assertThat(event.getInt("sequences")).isEqualTo(2);
            assertThat(event.getString("ending")).isEqualTo("COMPLETED");
            assertThat(event.getDuration("queueTime")).isPositive().isLessThan(event.getDuration("firstTokenTime"));
            assertThat(event.getDuration("firstTokenTime")).isLessThan(event.getDuration());
        }
        assertThat(requests.get(2).getString("ending")).isEqualTo("DEADLINE");
        assertThat(requests.get(2).getLong("generatedTokens")).isZero();
        assertThat(requests.get(3).getString("ending")).isEqualTo("CANCELLED");
        assertThat(requests.stream().map(event -> event.getString("ending")))
                .containsOnly("COMPLETED", "DEADLINE", "CANCELLED");
    }

    @Test
    void steps_areEventsWithTheirNumbers() {
        // A prompt is read in pieces until the engine knows how long rows take.
        RecordedEvent piece = steps.get(0);
        assertThat(piece.getInt("rows")).isEqualTo(32);
        assertThat(piece.getInt("prefillRows")).isEqualTo(32);
        assertThat(piece.getInt("sequences")).isEqualTo(1);
        assertThat(piece.getInt("logitsRows")).isZero();
        assertThat(piece.getInt("waitingRequests")).isZero();
        assertThat(piece.getInt("usedKvBlocks")).isEqualTo(2);
        RecordedEvent rest = steps.get(1);
        assertThat(rest.getInt("prefillRows")).isEqualTo(promptTokens() - 32);
        assertThat(rest.getInt("logitsRows")).isEqualTo(1);
        RecordedEvent decoding = steps.get(2);
        assertThat(decoding.getInt("rows")).isEqualTo(2);
        assertThat(decoding.getInt("prefillRows")).isZero();
        assertThat(decoding.getInt("sequences")).isEqualTo(2);
        assertThat(decoding.getInt("logitsRows")).isEqualTo(2);
        assertThat(steps).allSatisfy(step -> assertThat(step.getDuration()).isPositive());
    }

    @Test
    void events_standUnderOneCategory_withLabelsAndDescriptions() {
        for (RecordedEvent event : List.of(steps.get(0), requests.get(0))) {
            assertThat(event.getEventType().getCategoryNames()).containsExactly("dolly4j");
            assertThat(event.getEventType().getDescription()).isNotBlank();
            assertThat(event.getStackTrace()).isNull();
        }
    }

    @Test
    void log_tellsOfTheModelOnceEachAtInfo() {
        assertThat(log.lines().filter(line -> line.contains(" INFO org.dolly4j.")))
                .hasSize(2)
                .anySatisfy(line -> assertThat(line)
                        .contains("Loaded dolly-tiny-ends", "FLOAT32", "KERNELS", "1 threads", "8,192 tokens", " ms"))
                .anySatisfy(line -> assertThat(line).contains("Closed dolly-tiny-ends"));
    }

    @Test
    void log_warnsOfRefusalsOnce_andOfTheSubscriberThatThrew() {
        assertThat(log.lines().filter(line -> line.contains(" WARN org.dolly4j.")))
                .hasSize(2)
                .anySatisfy(line -> assertThat(line).contains("dolly-tiny-ends: 1 refused", "maxQueuedRequests"))
                .anySatisfy(line -> assertThat(line).contains("subscriber threw"));
        assertThat(log).contains("IllegalStateException: deliberate").doesNotContain("Exception in thread");
    }

    @Test
    void log_tellsOfEachRequestAtDebug() {
        assertThat(log.lines().filter(line -> line.contains("DEBUG") && line.contains("request 1 ")))
                .hasSize(2)
                .anySatisfy(line ->
                        assertThat(line).contains("begins after", promptTokens() + " prompt tokens, 0 of them cached"))
                .anySatisfy(line -> assertThat(line).contains("ended as COMPLETED", tokens(0) + " tokens"));
    }

    /** Neither by a word of the prompt nor of an answer, in nothing but what the run printed itself. */
    @Test
    void promptsAndAnswers_areInNoLogNoEventAndNoMetrics() throws Exception {
        String raw = new String(Files.readAllBytes(recording), StandardCharsets.ISO_8859_1);
        assertThat(raw.contains(SECRET)).as("anywhere in the recording").isFalse();
        String events = steps.toString() + requests;
        List<String> words = new ArrayList<>(List.of(SECRET, "foxes", "hares"));
        log.lines()
                .filter(line -> line.startsWith("answer: "))
                .flatMap(line -> List.of(line.substring(8).split("\\W+")).stream())
                .filter(word -> word.length() > 5)
                .forEach(words::add);
        assertThat(words).hasSizeGreaterThan(3);
        String written = log.lines()
                .filter(line -> !line.startsWith("answer: "))
                .reduce("", (one, other) -> one + "\n" + other)
                .toLowerCase(Locale.ROOT);
        assertThat(written).contains("enginemetrics[", " debug ");
        for (String word : words) {
            assertThat(written).doesNotContain(word.toLowerCase(Locale.ROOT));
            assertThat(events).doesNotContain(word);
        }
    }
}
