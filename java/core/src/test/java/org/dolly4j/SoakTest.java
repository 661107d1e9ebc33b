package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenLogprobs;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Many users who ask, cancel, stall, disconnect, throw and miss deadlines, and reloads amid them. {@code
 * -Ddolly4j.soak.seconds=600} has it go on for longer than suits every build.
 */
@Timeout(7200)
class SoakTest {
    private static final Duration TIME = Duration.ofSeconds(Integer.getInteger("dolly4j.soak.seconds", 20));
    private static final int USERS = 64;

    /** Fewer than users, so that some are refused. */
    private static final int QUEUE = 50;

    /** A user who waits that much longer than the test goes on for waits for ever. */
    private static final int LOST_SECONDS = 300;

    /** When memory is seen first: after reloads, which fill the allocators' stocks. */
    private static final Duration WARM = Duration.ofMillis(Math.min(60_000, TIME.toMillis() / 4));

    /** Before that, and again until half of the time is over. */
    private static final int RELOADS = 5;

    /** Memory that may come and go beside what was there then. */
    private static final long HEAP_SLACK_BYTES = 48L << 20;

    /** The same of memory beside the heap. {@link DollyLifecycleTest} sees smaller losses at reloads. */
    private static final long NATIVE_SLACK_BYTES = 48L << 20;

    /** What users ask, and what each gets alone. */
    private record Question(
            GenerationRequest.Builder request, GenerationResult alone, List<ContinuationScore> scores) {}

    private static final List<String> TEXTS = List.of("Bangkok", "I do not know that.", "A whale is no fish.");

    private final List<Question> questions = new ArrayList<>();
    private final AtomicLong submitted = new AtomicLong();
    private final AtomicLong answered = new AtomicLong();
    private final AtomicLong cutShort = new AtomicLong();
    private final AtomicLong refused = new AtomicLong();

    private static DollyOptions.Builder options() {
        return DollyOptions.builder().dtype(WeightType.INT8);
    }

    private static GenerationRequest.Builder request(int number, List<String> instructions) throws IOException {
        String instruction = instructions.get(number % instructions.size());
        GenerationRequest.Builder request = number % 3 == 0
                ? GenerationRequest.forInstruction(instruction, DemoQuestions.context(1 + number % 20))
                : GenerationRequest.forInstruction(instruction);
        if (number % 10 == 5) {
            return request.maxNewTokens(1 + number * 7 % 30).sequences(2).beams(BeamOptions.of(3));
        }
        if (number % 10 == 7) {
            request.stopStrings(List.of(" the", "."));
        }
        return request.seed(number)
                .maxNewTokens(1 + number * 7 % 60)
                .sequences(1 + number % 4 / 3 * 2)
                .sampling(
                        number % 2 == 0
                                ? SamplingOptions.dolly()
                                : SamplingOptions.builder()
                                        .doSample(true)
                                        .minNewTokens(50)
                                        .build());
    }

    private void askAlone() throws IOException {
        List<String> instructions = DemoQuestions.instructions();
        DollyOptions alone = options().prefixCache(false).speculation(false).build();
        try (Dolly dolly = Dolly.load(DemoQuestions.MODEL, alone)) {
            for (int i = 0; i < 120; i++) {
                GenerationRequest.Builder request = request(i, instructions);
                questions.add(
                        new Question(request, dolly.generate(request.build()), dolly.score(request.build(), TEXTS)));
            }
        }
    }

    @Test
    void usersOfAllKinds_getWhatEachGetsAlone_andNothingIsLostOrLeft() throws Exception {
        askAlone();
        List<String> threadsBefore = dollyThreads();
        Dolly dolly = Dolly.load(
                DemoQuestions.MODEL,
                options().kvCacheTokens(4096).maxQueuedRequests(QUEUE).build());
        long end = System.nanoTime() + TIME.toNanos();
        List<CompletableFuture<Void>> users = IntStream.range(0, USERS)
                .mapToObj(user -> CompletableFuture.runAsync(
                        () -> ask(dolly, new Random(user), end), task -> new Thread(task, "user-" + user).start()))
                .toList();
        reload(dolly, WARM);
        long heapBytes = heapBytes();
        long nativeBytes = NativeMemory.bytes();
        reload(dolly, TIME.dividedBy(2).minus(WARM));
        CompletableFuture.allOf(users.toArray(CompletableFuture[]::new))
                .get(TIME.toSeconds() + LOST_SECONDS, TimeUnit.SECONDS);
        awaitIdle(dolly);
        EngineMetrics metrics = dolly.metrics();
        System.out.printf(
                "%,d requests: %,d answered, %,d cut short, %,d refused; since the reload %s; native %,d -> %,d MB,"
                        + " heap %,d -> %,d MB%n",
                submitted.get(),
                answered.get(),
                cutShort.get(),
                refused.get(),
                metrics.tokens(),
                nativeBytes >> 20,
                NativeMemory.bytes() >> 20,
                heapBytes >> 20,
                heapBytes() >> 20);
        assertThat(submitted.get()).isEqualTo(answered.get() + cutShort.get() + refused.get());
        assertThat(answered.get()).isGreaterThan(USERS);
        assertThat(cutShort.get()).isPositive();
        assertThat(metrics.kvCache().usedTokens())
                .as("blocks that nobody gave back")
                .isZero();
        assertThat(metrics.requests().failed()).isZero();
        assertThat(heapBytes()).isLessThan(heapBytes + HEAP_SLACK_BYTES);
        assertThat(NativeMemory.bytes()).isLessThan(nativeBytes + NATIVE_SLACK_BYTES);
        assertThat(dolly.close(Duration.ofMinutes(1))).isTrue();
        awaitThreads(threadsBefore);
    }

    /** Reloads amid some time, each beside the last requests of the model before. */
    private static void reload(Dolly dolly, Duration time) throws InterruptedException {
        for (int i = 0; i < RELOADS; i++) {
            Thread.sleep(time.toMillis() / RELOADS);
            dolly.reload(DemoQuestions.MODEL);
        }
    }

    /** One user, who asks one thing after another in some way. */
    private void ask(Dolly dolly, Random random, long end) {
        while (System.nanoTime() < end) {
            Question question = questions.get(random.nextInt(questions.size()));
            submitted.incrementAndGet();
            try {
                switch (random.nextInt(9)) {
                    case 0 -> disconnect(dolly, question, 1 + random.nextInt(5));
                    case 1 -> cancelFuture(dolly, question, random);
                    case 2 -> missDeadline(dolly, question, random);
                    case 3 -> stall(dolly, question, random);
                    case 4 -> throwAmid(dolly, question);
                    case 5 -> subscribe(dolly, question, random);
                    case 6 -> {
                        List<ContinuationScore> scores = dolly.score(question.request.build(), TEXTS);
                        assertThat(logprobs(scores)).isEqualTo(logprobs(question.scores));
                        answered.incrementAndGet();
                    }
                    default -> {
                        check(question, dolly.generate(question.request.build()));
                        answered.incrementAndGet();
                    }
                }
            } catch (EngineOverloadedException e) {
                refused.incrementAndGet();
                pause(random.nextInt(500));
            }
        }
    }

    private static List<List<TokenLogprobs>> logprobs(List<ContinuationScore> scores) {
        return scores.stream().map(ContinuationScore::logprobs).toList();
    }

    private static void check(Question question, GenerationResult result) {
        for (int i = 0; i < result.generations().size(); i++) {
            Generation expected = question.alone.generations().get(i);
            Generation found = result.generations().get(i);
            if (found.finishReason() == FinishReason.DEADLINE || found.finishReason() == FinishReason.CANCELLED) {
                assertThat(found.tokenIds()).isEqualTo(Arrays.copyOf(expected.tokenIds(), found.tokenIds().length));
            } else {
                assertThat(found.tokenIds()).isEqualTo(expected.tokenIds());
                assertThat(found.text()).isEqualTo(expected.text());
            }
        }
    }

    /** The tokens that came, in the order in which they came, are the first ones of each answer. */
    private static void checkPieces(Question question, List<TextPiece> pieces) {
        for (int i = 0; i < question.alone.generations().size(); i++) {
            int sequence = i;
            int[] tokens = pieces.stream()
                    .filter(piece -> piece.sequence() == sequence)
                    .flatMapToInt(piece -> piece.tokenId().stream())
                    .toArray();
            assertThat(tokens)
                    .isEqualTo(Arrays.copyOf(question.alone.generations().get(i).tokenIds(), tokens.length));
        }
    }

    private void disconnect(Dolly dolly, Question question, int pieces) {
        try (Stream<TextPiece> stream = dolly.stream(question.request.build())) {
            checkPieces(question, stream.limit(pieces).toList());
        }
        cutShort.incrementAndGet();
    }

    private void cancelFuture(Dolly dolly, Question question, Random random) {
        CompletableFuture<GenerationResult> future = dolly.submit(question.request.build());
        pause(random.nextInt(30));
        future.cancel(true);
        try {
            check(question, future.join());
            answered.incrementAndGet();
        } catch (CancellationException e) {
            cutShort.incrementAndGet();
        } catch (CompletionException e) {
            throw new AssertionError(e.getCause());
        }
    }

    private void missDeadline(Dolly dolly, Question question, Random random) {
        GenerationRequest late = request(question)
                .deadline(Duration.ofMillis(1 + random.nextInt(100)))
                .build();
        GenerationResult result = dolly.generate(late);
        check(question, result);
        boolean isLate = result.generations().stream().anyMatch(one -> one.finishReason() == FinishReason.DEADLINE);
        (isLate ? cutShort : answered).incrementAndGet();
    }

    /** The question anew, since the builders are shared. */
    private GenerationRequest.Builder request(Question question) {
        try {
            return request(questions.indexOf(question), DemoQuestions.instructions());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void stall(Dolly dolly, Question question, Random random) {
        List<TextPiece> pieces = new ArrayList<>();
        GenerationResult result = dolly.generate(question.request.build(), piece -> {
            pieces.add(piece);
            pause(random.nextInt(20));
        });
        check(question, result);
        checkPieces(question, pieces);
        answered.incrementAndGet();
    }

    private void throwAmid(Dolly dolly, Question question) {
        IllegalArgumentException deliberate = new IllegalArgumentException("deliberate");
        try {
            dolly.generate(question.request.build(), piece -> {
                throw deliberate;
            });
            throw new AssertionError("the consumer's exception was lost");
        } catch (IllegalArgumentException e) {
            assertThat(e).isSameAs(deliberate);
        }
        cutShort.incrementAndGet();
    }

    /** Asks for one piece after another, and goes away amid them now and then. */
    private void subscribe(Dolly dolly, Question question, Random random) {
        int most = random.nextBoolean() ? Integer.MAX_VALUE : 1 + random.nextInt(5);
        CompletableFuture<List<TextPiece>> received = new CompletableFuture<>();
        dolly.publisher(question.request.build()).subscribe(new Flow.Subscriber<TextPiece>() {
            private final List<TextPiece> pieces = new ArrayList<>();
            private Flow.Subscription subscription;

            @Override
            public void onSubscribe(Flow.Subscription given) {
                subscription = given;
                subscription.request(1);
            }

            @Override
            public void onNext(TextPiece piece) {
                pieces.add(piece);
                if (pieces.size() == most) {
                    subscription.cancel();
                    received.complete(pieces);
                }
                subscription.request(1);
            }

            @Override
            public void onError(Throwable failure) {
                received.completeExceptionally(failure);
            }

            @Override
            public void onComplete() {
                received.complete(pieces);
            }
        });
        try {
            List<TextPiece> pieces = received.join();
            checkPieces(question, pieces);
            pieces.get(pieces.size() - 1).result().ifPresent(result -> check(question, result));
            (pieces.get(pieces.size() - 1).result().isPresent() ? answered : cutShort).incrementAndGet();
        } catch (CompletionException e) {
            if (e.getCause() instanceof EngineOverloadedException overloaded) {
                throw overloaded;
            }
            throw e;
        }
    }

    private static void pause(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** What was cancelled last is given back within a step. */
    private static void awaitIdle(Dolly dolly) {
        while (dolly.metrics().requests().running() + dolly.metrics().requests().waiting() > 0) {
            pause(1);
        }
    }

    private static List<String> dollyThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .map(Thread::getName)
                .filter(name -> name.startsWith("dolly4j"))
                .sorted()
                .toList();
    }

    /** Threads that hand pieces out end just after the last one. */
    private static void awaitThreads(List<String> expected) {
        for (int i = 0; i < 1000 && !dollyThreads().equals(expected); i++) {
            pause(20);
        }
        assertThat(dollyThreads()).isEqualTo(expected);
    }

    private static long heapBytes() {
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
