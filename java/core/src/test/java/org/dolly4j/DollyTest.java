package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.dolly4j.TinyDolly.CHECKPOINT;
import static org.dolly4j.TinyDolly.CONTEXT;
import static org.dolly4j.TinyDolly.QUESTION;
import static org.dolly4j.TinyDolly.ask;
import static org.dolly4j.TinyDolly.copyCheckpoint;
import static org.dolly4j.TinyDolly.endless;
import static org.dolly4j.TinyDolly.options;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.dolly4j.prompt.Conversation;
import org.dolly4j.prompt.Conversation.Role;
import org.dolly4j.prompt.Conversation.Turn;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.KvCacheType;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.BeamOptions.EarlyStopping;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.sampling.TokenLogprobs;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The facade on a tiny checkpoint of random weights, which now and then ends an answer by itself. */
@Timeout(120)
class DollyTest {
    private static Dolly dolly;

    @BeforeAll
    static void load() {
        dolly = Dolly.load(CHECKPOINT, options());
    }

    @AfterAll
    static void close() {
        dolly.close();
    }

    private static String joined(List<TextPiece> pieces, int sequence) {
        return pieces.stream()
                .filter(piece -> piece.sequence() == sequence)
                .map(TextPiece::text)
                .collect(Collectors.joining());
    }

    @Test
    void load_tokenizerThatIsDamaged_isSaidWhateverTheWeightsDo(@TempDir Path folder) throws IOException {
        Path damaged = Files.writeString(folder.resolve("tokenizer.json"), "{");
        assertThatThrownBy(() -> Dolly.load(
                        CHECKPOINT, DollyOptions.builder().tokenizer(folder).build()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(damaged.toString());
    }

    @Test
    void info_saysWhatTheModelIs() {
        ModelInfo info = dolly.info();
        assertThat(info.name()).isEqualTo("dolly-tiny-ends");
        assertThat(info.architecture()).isEqualTo("gpt_neox");
        assertThat(info.contextLength()).isEqualTo(CONTEXT);
        assertThat(info.dtype()).isEqualTo(WeightType.BFLOAT16);
        assertThat(info.kvCacheTokens()).isEqualTo(4 * CONTEXT);
        // The hidden size of 16 is padded to 32 where a matmul reads it, and the tied head lies apart from the
        // embedding.
        assertThat(info.weightBytes()).isBetween(2 * info.parameters(), 7 * info.parameters());
    }

    @Test
    void generate_givesTextTokensCountsAndTimings() {
        GenerationRequest request = ask(24).build();
        GenerationResult result = dolly.generate(request);
        Generation answer = result.generations().get(0);
        assertThat(result.generations()).hasSize(1);
        assertThat(answer.tokenIds()).hasSizeBetween(1, 24);
        assertThat(result.completionTokens()).isEqualTo(answer.tokenIds().length);
        assertThat(result.promptTokens()).isEqualTo(dolly.promptTokens(request).length);
        assertThat(result.seed()).isEqualTo(7);
        assertThat(result.text()).isEqualTo(answer.text()).isNotEmpty();
        assertThat(result.timings().queue())
                .isLessThanOrEqualTo(result.timings().firstToken());
        assertThat(result.timings().firstToken())
                .isLessThanOrEqualTo(result.timings().total());
    }

    @Test
    void seed_givesTheSameAnswerAgain_andWithoutOneAnotherIsDrawn() {
        GenerationResult first = dolly.generate(ask(24).build());
        assertThat(dolly.generate(ask(24).build()).text()).isEqualTo(first.text());
        GenerationRequest unseeded =
                GenerationRequest.forInstruction(QUESTION).maxNewTokens(24).build();
        GenerationResult drawn = dolly.generate(unseeded);
        assertThat(dolly.generate(unseeded).seed()).isNotEqualTo(drawn.seed());
        GenerationResult again = dolly.generate(ask(24).seed(drawn.seed()).build());
        assertThat(again.text()).isEqualTo(drawn.text());
    }

    @Test
    void defaultSampling_isThatOfDollysPipeline() {
        assertThat(dolly.defaultSampling()).isEqualTo(SamplingOptions.dolly());
        GenerationResult stated =
                dolly.generate(ask(24).sampling(SamplingOptions.dolly()).build());
        assertThat(dolly.generate(ask(24).build()).text()).isEqualTo(stated.text());
    }

    @Test
    void severalSequences_streamBesideEachOther_andTheFirstIsTheOneAlone() {
        List<TextPiece> pieces = new ArrayList<>();
        GenerationResult result = dolly.generate(ask(40).sequences(5).build(), pieces::add);
        assertThat(result.generations()).hasSize(5);
        for (int i = 0; i < 5; i++) {
            int sequence = i;
            Generation answer = result.generations().get(i);
            assertThat(joined(pieces, i)).isEqualTo(answer.text());
            assertThat(pieces.stream().filter(piece -> piece.sequence() == sequence))
                    .last()
                    .extracting(piece -> piece.finishReason().orElseThrow())
                    .isEqualTo(answer.finishReason());
            assertThat(pieces.stream()
                            .filter(piece -> piece.sequence() == sequence
                                    && piece.finishReason().isPresent()))
                    .hasSize(1);
        }
        assertThat(result.generations().stream().map(Generation::text)).doesNotHaveDuplicates();
        assertThat(dolly.generate(ask(40).build()).text()).isEqualTo(result.text());
    }

    @Test
    void callback_comesOnTheCallersThread() {
        Thread caller = Thread.currentThread();
        dolly.generate(
                ask(5).build(), piece -> assertThat(Thread.currentThread()).isSameAs(caller));
    }

    @Test
    void stream_givesTheSameTextAsGenerate() {
        GenerationRequest request = ask(40).returnFullText(true).build();
        try (Stream<TextPiece> pieces = dolly.stream(request)) {
            assertThat(joined(pieces.toList(), 0))
                    .isEqualTo(dolly.generate(request).text())
                    .startsWith(QUESTION + "\n");
        }
    }

    @Test
    void streamOfAnInstruction_givesItsTextInPieces() {
        try (Stream<String> pieces = dolly.stream(QUESTION)) {
            assertThat(pieces.toList()).isNotEmpty().doesNotContain("");
        }
    }

    /** How many requests were cancelled, once none waits or runs. */
    private static long cancelled() throws InterruptedException {
        EngineMetrics.Requests requests = dolly.metrics().requests();
        while (requests.running() + requests.waiting() > 0) {
            Thread.sleep(1);
            requests = dolly.metrics().requests();
        }
        return requests.cancelled();
    }

    @Test
    void closedStream_endsItsRequest() throws Exception {
        long before = cancelled();
        GenerationRequest endless = endless();
        try (Stream<TextPiece> pieces = dolly.stream(endless)) {
            assertThat(pieces.limit(3).toList()).hasSize(3);
        }
        assertThat(cancelled()).isEqualTo(before + 1);
    }

    @Test
    void throwingConsumer_endsItsRequestAlone() throws Exception {
        long before = cancelled();
        IllegalArgumentException thrown = new IllegalArgumentException("deliberate");
        assertThatThrownBy(() -> dolly.generate(endless(), piece -> {
                    throw thrown;
                }))
                .isSameAs(thrown);
        assertThat(cancelled()).isEqualTo(before + 1);
    }

    @Test
    void stalledConsumer_delaysNobody() throws Exception {
        CountDownLatch stalled = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        CompletableFuture<GenerationResult> slow =
                CompletableFuture.supplyAsync(() -> dolly.generate(ask(20).build(), piece -> {
                    stalled.countDown();
                    awaitUnchecked(goOn);
                }));
        stalled.await();
        GenerationResult other = dolly.generate(ask(20).build());
        assertThat(slow).isNotDone();
        goOn.countDown();
        assertThat(slow.get().text()).isEqualTo(other.text());
    }

    private static void awaitUnchecked(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void interruptedCaller_cancelsItsRequest() throws Exception {
        long before = cancelled();
        Thread.currentThread().interrupt();
        assertThatThrownBy(() -> dolly.generate(endless())).isInstanceOf(CancellationException.class);
        assertThat(Thread.interrupted()).isTrue();
        assertThat(cancelled()).isEqualTo(before + 1);
    }

    @Test
    void generateAll_keepsTheOrder_andEqualsSingleRequests() {
        List<GenerationRequest> requests = IntStream.range(0, 12)
                .mapToObj(i -> GenerationRequest.forInstruction("Name " + i + " colours.")
                        .maxNewTokens(10)
                        .seed(i)
                        .build())
                .toList();
        List<GenerationResult> results = dolly.generateAll(requests);
        for (int i = 0; i < requests.size(); i++) {
            assertThat(results.get(i).text())
                    .isEqualTo(dolly.generate(requests.get(i)).text());
        }
    }

    @Test
    void generateAll_handsOutEachResultBeforeTheNextIsDone() throws Exception {
        long before = cancelled();
        List<GenerationResult> handedOut = new ArrayList<>();
        IllegalStateException enough = new IllegalStateException("deliberate");
        assertThatThrownBy(() -> dolly.generateAll(List.of(ask(3).build(), endless()), result -> {
                    handedOut.add(result);
                    throw enough;
                }))
                .isSameAs(enough);
        assertThat(handedOut).singleElement().satisfies(result -> assertThat(result.completionTokens())
                .isEqualTo(dolly.generate(ask(3).build()).completionTokens()));
        assertThat(cancelled()).isEqualTo(before + 1);
    }

    @Test
    void generateAll_ofMoreThanMayWait_answersAll() {
        DollyOptions narrow = options().toBuilder().maxQueuedRequests(3).build();
        List<GenerationRequest> requests = IntStream.range(0, 300)
                .mapToObj(i -> ask(1 + i % 3).seed(i).build())
                .toList();
        try (Dolly few = Dolly.load(CHECKPOINT, narrow)) {
            List<GenerationResult> results = few.generateAll(requests);
            assertThat(results).hasSameSizeAs(requests);
            for (int i = 0; i < 20; i++) {
                assertThat(results.get(i).text())
                        .isEqualTo(dolly.generate(requests.get(i)).text());
            }
        }
    }

    @Test
    void generateAll_withOneThatCannotBegin_cancelsTheOthers() throws Exception {
        long before = cancelled();
        GenerationRequest tooLong = ask(CONTEXT).build();
        assertThatThrownBy(() -> dolly.generateAll(List.of(endless(), tooLong)))
                .isInstanceOf(ContextLengthException.class);
        assertThat(cancelled()).isEqualTo(before + 1);
    }

    /** Bit for bit, whatever shares a step with them, and with a cache so small that they are preempted. */
    @ParameterizedTest
    @EnumSource(WeightType.class)
    void manyThreads_getTheAnswersTheyWouldGetAlone(WeightType type) throws Exception {
        DollyOptions small =
                options().toBuilder().dtype(type).kvCacheTokens(2 * CONTEXT).build();
        List<GenerationRequest> requests = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            requests.add(GenerationRequest.forInstruction("Tell me more about number " + i + ".", "word ".repeat(i * 3))
                    .maxNewTokens(10 + i)
                    .sequences(1 + i % 3)
                    .seed(i)
                    .build());
        }
        try (Dolly other = Dolly.load(CHECKPOINT, small)) {
            List<CompletableFuture<GenerationResult>> futures = requests.stream()
                    .map(request -> CompletableFuture.supplyAsync(() -> other.generate(request), threads()))
                    .toList();
            for (int i = 0; i < futures.size(); i++) {
                GenerationResult together = futures.get(i).get();
                GenerationResult alone = other.generate(requests.get(i));
                assertThat(together.generations()).usingRecursiveComparison().isEqualTo(alone.generations());
            }
        }
    }

    private static Executor threads() {
        return task -> new Thread(task).start();
    }

    @Test
    void submit_givesTheResultLater_andCancelsItsRequestIfNobodyWaits() throws Exception {
        assertThat(dolly.submit(ask(20).build()).get().text())
                .isEqualTo(dolly.generate(ask(20).build()).text());

        GenerationRequest endless = ask(1000)
                .sampling(SamplingOptions.builder().minNewTokens(1000).build())
                .sequences(60)
                .build();
        long completed = dolly.metrics().requests().completed();
        long before = cancelled();
        dolly.submit(endless).cancel(false);
        assertThatThrownBy(() -> dolly.submit(endless)
                        .orTimeout(10, TimeUnit.MILLISECONDS)
                        .get())
                .hasCauseInstanceOf(TimeoutException.class);
        assertThat(cancelled()).isEqualTo(before + 2);
        assertThat(dolly.metrics().requests().completed()).isEqualTo(completed);
        assertThatThrownBy(() -> dolly.submit(ask(5000).build())).isInstanceOf(ContextLengthException.class);
    }

    @Test
    void publisher_beginsAnewForEachSubscriber_andOneThatThrowsEndsOnlyItself() throws Exception {
        Flow.Publisher<TextPiece> publisher = dolly.publisher(ask(30).build());
        Recorder slow = new Recorder(1);
        Recorder broken = new Recorder(Integer.MAX_VALUE) {
            @Override
            public void onNext(TextPiece piece) {
                throw new IllegalStateException("deliberate");
            }
        };
        Recorder fast = new Recorder(Integer.MAX_VALUE);
        publisher.subscribe(slow);
        publisher.subscribe(broken);
        publisher.subscribe(fast);

        assertThat(fast.ended.await(20, TimeUnit.SECONDS)).isTrue();
        GenerationResult result = dolly.generate(ask(30).build());
        assertThat(joined(fast.pieces, 0)).isEqualTo(result.text());
        assertThat(fast.pieces).hasSize(result.completionTokens());
        assertThat(fast.pieces.stream().mapToInt(piece -> piece.tokenId().orElseThrow()))
                .containsExactly(Arrays.stream(result.generations().get(0).tokenIds())
                        .boxed()
                        .toArray(Integer[]::new));
        TextPiece last = fast.pieces.get(fast.pieces.size() - 1);
        assertThat(last.result().orElseThrow().generations())
                .usingRecursiveComparison()
                .isEqualTo(result.generations());
        assertThat(last.time())
                .isLessThanOrEqualTo(last.result().get().timings().total());

        while (slow.pieces.isEmpty()) {
            Thread.sleep(1);
        }
        assertThat(slow.pieces).hasSize(1);
        slow.subscription.request(Long.MAX_VALUE);
        assertThat(slow.ended.await(20, TimeUnit.SECONDS)).isTrue();
        assertThat(joined(slow.pieces, 0)).isEqualTo(result.text());
        assertThat(broken.ended.getCount()).isEqualTo(1);
    }

    /** Keeps what it gets. */
    private static class Recorder implements Flow.Subscriber<TextPiece> {
        final List<TextPiece> pieces = new CopyOnWriteArrayList<>();
        final CountDownLatch ended = new CountDownLatch(1);
        final long demand;
        Flow.Subscription subscription;

        Recorder(long demand) {
            this.demand = demand;
        }

        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription = given;
            given.request(demand);
        }

        @Override
        public void onNext(TextPiece piece) {
            pieces.add(piece);
        }

        @Override
        public void onError(Throwable failure) {
            ended.countDown();
        }

        @Override
        public void onComplete() {
            ended.countDown();
        }
    }

    @Test
    void deadline_endsTheAnswerAsItIs() {
        GenerationResult result = dolly.generate(
                ask(400).sampling(SamplingOptions.builder().minNewTokens(400).build())
                        .sequences(60)
                        .deadline(Duration.ofMillis(50))
                        .build());
        assertThat(result.generations()).hasSize(60);
        assertThat(result.generations().get(0).finishReason()).isEqualTo(FinishReason.DEADLINE);
    }

    @Test
    void logprobs_comeWithEveryTokenThatAsksForThem_andChangeNoAnswer() {
        GenerationRequest plain = ask(12).seed(3).build();
        GenerationRequest asking = ask(12).seed(3).topLogprobs(4).build();
        List<TextPiece> pieces = new ArrayList<>();
        Generation answer = dolly.generate(asking, pieces::add).generations().get(0);
        Generation without = dolly.generate(plain).generations().get(0);
        assertThat(answer.tokenIds()).isEqualTo(without.tokenIds());
        assertThat(without.logprobs()).isEmpty();
        assertThat(answer.logprobs()).hasSameSizeAs(answer.tokenIds());
        assertThat(pieces.stream().flatMap(piece -> piece.logprobs().stream())).isEqualTo(answer.logprobs());
        for (int i = 0; i < answer.tokenIds().length; i++) {
            TokenLogprobs logprobs = answer.logprobs().get(i);
            int token = answer.tokenIds()[i];
            assertThat(logprobs.top()).hasSize(4);
            assertThat(logprobs.logprob())
                    .isNegative()
                    .isLessThanOrEqualTo(logprobs.top().get(0).logprob());
            logprobs.top().stream()
                    .filter(alternative -> alternative.tokenId() == token)
                    .forEach(same -> assertThat(same.logprob()).isEqualTo(logprobs.logprob()));
        }
    }

    @Test
    void beams_findAnswersAtLeastAsLikelyAsGreedy_bestFirst() {
        GenerationRequest.Builder request =
                GenerationRequest.forPrompt(QUESTION).maxNewTokens(6);
        Generation greedy = dolly.generate(request.sampling(SamplingOptions.greedy())
                        .topLogprobs(0)
                        .build())
                .generations()
                .get(0);
        assertThat(greedy.score()).isEmpty();
        List<Generation> found = dolly.generate(request.beams(new BeamOptions(4, 0, EarlyStopping.NEVER))
                        .sequences(4)
                        .build())
                .generations();
        assertThat(found).hasSize(4).doesNotHaveDuplicates();
        assertThat(found)
                .allSatisfy(one -> assertThat(one.score().orElseThrow()).isEqualTo(sum(one), within(1e-3)));
        assertThat(found)
                .isSortedAccordingTo(Comparator.comparing(one -> -one.score().orElseThrow()));
        assertThat(found.get(0).score().orElseThrow()).isGreaterThan(sum(greedy) - 1e-3);
    }

    private static double sum(Generation answer) {
        return answer.logprobs().stream().mapToDouble(TokenLogprobs::logprob).sum();
    }

    @Test
    void score_isThatOfTheAnswerAsItIsWritten() {
        GenerationRequest raw = GenerationRequest.forPrompt("abc abc")
                .sampling(SamplingOptions.greedy())
                .maxNewTokens(8)
                .topLogprobs(2)
                .build();
        Generation answer = dolly.generate(raw).generations().get(0);
        List<ContinuationScore> scores = dolly.score(raw, List.of(answer.text(), " zebra", answer.text()));
        assertThat(scores.get(0).continuation()).isEqualTo(answer.text());
        assertThat(scores.get(0).tokenIds()).isEqualTo(answer.tokenIds());
        assertThat(scores.get(0).logprobs()).isEqualTo(answer.logprobs());
        assertThat(scores.get(0).logprob()).isEqualTo(sum(answer), within(1e-9));
        assertThat(scores.get(0).isGreedy()).isTrue();
        assertThat(scores.get(1).isGreedy()).isFalse();
        assertThat(scores.get(1).logprob()).isNegative();
        assertThat(scores.get(2).logprobs()).isEqualTo(answer.logprobs());
    }

    @Test
    void score_whiteSpaceAtThePromptsEnd_countsToTheContinuation() {
        ContinuationScore apart = dolly.score("A whale is a", List.of(" fish")).get(0);
        ContinuationScore moved = dolly.score("A whale is a ", List.of("fish")).get(0);
        assertThat(moved.tokenIds()).isEqualTo(apart.tokenIds());
        assertThat(moved.logprobs()).isEqualTo(apart.logprobs());
        assertThat(dolly.score(" \n ", List.of("fish")).get(0).logprob()).isNegative();
    }

    @Test
    void score_inTheTemplate_isThatOfAnAnswer() {
        GenerationRequest request = GenerationRequest.forInstruction(QUESTION)
                .sampling(SamplingOptions.greedy())
                .maxNewTokens(1)
                .topLogprobs(1)
                .build();
        Generation answer = dolly.generate(request).generations().get(0);
        ContinuationScore score = dolly.score(request, List.of("fish")).get(0);
        assertThat(score.tokenIds()).isEqualTo(dolly.tokenizer().encodeAsText("fish"));
        assertThat(score.logprobs().get(0).top())
                .isEqualTo(answer.logprobs().get(0).top());
        assertThat(dolly.score(request, List.of(dolly.tokenizer().decode(answer.tokenIds(), false)))
                        .get(0)
                        .isGreedy())
                .isTrue();
    }

    @Test
    void score_ofNothing_orOfTooMuch_isRefused() {
        assertThatThrownBy(() -> dolly.score("A", List.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("1 to 10000 continuations");
        assertThatThrownBy(() -> dolly.score("A", List.of(" b", "")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("A continuation is empty");
        assertThatThrownBy(() -> dolly.score("A", List.of("b")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("The continuation 'b' adds no token");
        assertThatThrownBy(() -> dolly.score("A", List.of("b c ".repeat(CONTEXT))))
                .isInstanceOf(ContextLengthException.class)
                .hasMessageContaining("With the continuation 'b c b c");
        GenerationRequest late =
                GenerationRequest.forPrompt("A").deadline(Duration.ofNanos(1)).build();
        assertThatThrownBy(() -> dolly.score(late, List.of(" b")))
                .isInstanceOf(DollyException.class)
                .hasMessageContaining("deadline");
    }

    @Test
    void optionsOfTheEngine_areCheckedByName() {
        assertThatThrownBy(() -> DollyOptions.builder().maxQueuedRequests(0).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("maxQueuedRequests must be 1 or more, not 0.");
        assertThatThrownBy(() -> DollyOptions.builder().maxStepMillis(0).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("maxStepMillis must be 1 or more, not 0.");
        DollyOptions options =
                DollyOptions.builder().maxQueuedRequests(3).maxStepMillis(50).prefixCache(false).build().toBuilder()
                        .build();
        assertThat(options.maxQueuedRequests()).isEqualTo(3);
        assertThat(options.maxStepMillis()).isEqualTo(50);
        assertThat(options.prefixCache()).isFalse();
    }

    @Test
    void stopString_isCutOutOfTextAndStream() {
        String whole = dolly.generate(ask(40).build()).text();
        String stop = whole.substring(8, 11);
        List<TextPiece> pieces = new ArrayList<>();
        Generation stopped = dolly.generate(ask(40).stopStrings(List.of(stop)).build(), pieces::add)
                .generations()
                .get(0);
        assertThat(stopped.finishReason()).isEqualTo(FinishReason.STOP);
        assertThat(stopped.text())
                .isEqualTo(whole.substring(0, whole.indexOf(stop)).strip());
        assertThat(joined(pieces, 0)).isEqualTo(stopped.text());
        assertThat(dolly.tokenizer().decode(stopped.tokenIds(), false)).contains(stop);
    }

    @Test
    void rawPrompt_isContinuedAsItStands() {
        GenerationRequest.Builder request =
                GenerationRequest.forPrompt("Once upon").maxNewTokens(12).seed(7);
        Generation answer = dolly.generate(request.build()).generations().get(0);
        int shown = answer.finishReason() == FinishReason.LENGTH ? 12 : answer.tokenIds().length - 1;
        assertThat(answer.text()).isEqualTo(dolly.tokenizer().decode(Arrays.copyOf(answer.tokenIds(), shown), false));
        assertThat(dolly.generate(request.returnFullText(true).build()).text()).isEqualTo("Once upon" + answer.text());
    }

    @Test
    void conversation_isAnsweredAsInstructionWithContext() {
        Conversation conversation = new Conversation(List.of(
                new Turn(Role.SYSTEM, "Be brief."),
                new Turn(Role.USER, "Hi"),
                new Turn(Role.ASSISTANT, "Hello."),
                new Turn(Role.USER, QUESTION)));
        GenerationRequest asConversation = GenerationRequest.forConversation(conversation)
                .maxNewTokens(10)
                .seed(1)
                .build();
        GenerationRequest asInstruction = GenerationRequest.forInstruction(
                        QUESTION, "Be brief.\nUser: Hi\nAssistant: Hello.")
                .maxNewTokens(10)
                .seed(1)
                .build();
        assertThat(dolly.generate(asConversation).text())
                .isEqualTo(dolly.generate(asInstruction).text());
    }

    @Test
    void emptyAndOversizedInstructions_areRefused() {
        assertThatThrownBy(() -> dolly.generate("")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> dolly.generate("word ".repeat(3000))).isInstanceOf(ContextLengthException.class);
        assertThatThrownBy(() -> dolly.stream("word ".repeat(3000))).isInstanceOf(ContextLengthException.class);
    }

    @Test
    void promptAsLongAsTheContext_isAnswered() {
        GenerationRequest request = GenerationRequest.forInstruction("word ".repeat(3000))
                .truncate(Truncate.TAIL)
                .maxNewTokens(1)
                .build();
        GenerationResult result = dolly.generate(request);
        assertThat(result.promptTokens()).isBetween(CONTEXT - 3, CONTEXT - 1);
        assertThat(result.completionTokens()).isEqualTo(1);
    }

    @Test
    void kvCacheTooSmallForARequest_isSaid() {
        DollyOptions small = options().toBuilder().kvCacheTokens(64).build();
        try (Dolly other = Dolly.load(CHECKPOINT, small)) {
            assertThat(other.info().kvCacheTokens()).isEqualTo(64);
            assertThat(other.generate(ask(10).build()).completionTokens()).isPositive();
            assertThat(other.generate(QUESTION)).isNotEmpty();
            assertThatThrownBy(() -> other.generate(ask(100).build()))
                    .isInstanceOf(ContextLengthException.class)
                    .hasMessageContaining("KV cache");
        }
    }

    @Test
    void kvCacheInFloat32_takesTwiceTheMemory_andAnswers() {
        DollyOptions narrow = options().toBuilder().kvCacheTokens(1024).build();
        DollyOptions wide = narrow.toBuilder().kvCacheDtype(KvCacheType.FLOAT32).build();
        try (Dolly bfloat16 = Dolly.load(CHECKPOINT, narrow);
                Dolly float32 = Dolly.load(CHECKPOINT, wide)) {
            assertThat(bfloat16.info().kvCacheDtype()).isEqualTo(KvCacheType.BFLOAT16);
            assertThat(float32.info().kvCacheDtype()).isEqualTo(KvCacheType.FLOAT32);
            assertThat(float32.info().dtype()).isEqualTo(WeightType.BFLOAT16);
            assertThat(float32.info().kvCacheBytes())
                    .isEqualTo(2 * bfloat16.info().kvCacheBytes());
            assertThat(float32.generate(ask(24).build()).completionTokens()).isPositive();
        }
    }

    @Test
    void weightCache_whereWanted_mapsWhatAnEarlierLoadKept(@TempDir Path folder) {
        DollyOptions.Builder cached =
                options().toBuilder().cacheDirectory(folder).weightCache(WeightCaching.ON);
        String expected = dolly.generate(ask(24).build()).text();
        for (int load = 0; load < 2; load++) {
            try (Dolly other = Dolly.load(CHECKPOINT, cached.build())) {
                assertThat(other.info().cachedWeights())
                        .get()
                        .satisfies(file -> assertThat(file).exists().startsWith(folder));
                assertThat(other.generate(ask(24).build()).text()).isEqualTo(expected);
            }
        }
        assertThat(dolly.info().cachedWeights()).isEmpty();
    }

    @Test
    void weightCache_whereNotWanted_writesNothing(@TempDir Path folder) {
        for (WeightCaching caching : List.of(WeightCaching.AUTO, WeightCaching.OFF)) {
            Path unused = folder.resolve(caching.name());
            DollyOptions options = options().toBuilder()
                    .cacheDirectory(unused)
                    .weightCache(caching)
                    .build();
            try (Dolly other = Dolly.load(CHECKPOINT, options)) {
                assertThat(other.info().cachedWeights()).isEmpty();
            }
            assertThat(unused).doesNotExist();
        }
    }

    @Test
    void weightCache_wrongOptions_areRefusedByName() {
        assertThatThrownBy(() -> DollyOptions.builder()
                        .backend(Backend.LIBTORCH)
                        .weightCache(WeightCaching.ON)
                        .build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("weightCache");
        assertThatThrownBy(() -> DollyOptions.builder().cacheSize(-1).build())
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("cacheSize must be 0 bytes or more, not -1");
    }

    @Test
    void missingFolder_isSaid(@TempDir Path folder) {
        assertThatThrownBy(() -> Dolly.load(folder.resolve("none")))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("none");
        assertThatThrownBy(() -> Dolly.load(folder.resolve("a/b/none").toString()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("none");
    }

    @Test
    void generationConfig_isTheBaseOfDefaultSampling(@TempDir Path folder) throws IOException {
        copyWithGenerationConfig(folder, "{\"temperature\": 0.5, \"top_p\": 0.1, \"stop_strings\": [\"e\"]}");
        try (Dolly other = Dolly.load(folder, options())) {
            assertThat(other.defaultSampling())
                    .isEqualTo(
                            SamplingOptions.dolly().toBuilder().temperature(0.5).build());
            assertThat(other.generate(ask(40).build()).text()).doesNotContain("e");
        }
    }

    @Test
    void generationConfigOutOfRange_isRefusedByFileAndKeyWhereItCounts(@TempDir Path folder) throws IOException {
        copyWithGenerationConfig(folder, "{\"temperature\": 0.0, \"repetition_penalty\": 1.5}");
        try (Dolly other = Dolly.load(folder, options())) {
            assertThatThrownBy(other::defaultSampling)
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageStartingWith(
                            folder.resolve("generation_config.json") + ": temperature = 0.0 must be a finite number");
            assertThatThrownBy(() -> other.generate(ask(4).build())).isInstanceOf(CheckpointException.class);
            assertThat(other.greedySampling())
                    .isEqualTo(SamplingOptions.builder().repetitionPenalty(1.5).build());
            assertThat(other.generate(ask(4).sampling(other.greedySampling()).build())
                            .generations()
                            .get(0)
                            .tokenIds())
                    .isNotEmpty();
        }
    }

    @Test
    void generationConfigWithBeams_hasRequestsSearchThatDrawNothing(@TempDir Path folder) throws IOException {
        copyWithGenerationConfig(folder, "{\"num_beams\": 3, \"length_penalty\": 0.0}");
        try (Dolly other = Dolly.load(folder, options())) {
            GenerationRequest.Builder greedy = ask(4).sampling(other.greedySampling());
            Generation answer = other.generate(greedy.build()).generations().get(0);
            Generation stated = other.generate(greedy.beams(new BeamOptions(3, 0, EarlyStopping.HEURISTIC))
                            .build())
                    .generations()
                    .get(0);
            assertThat(answer.score()).isPresent().isEqualTo(stated.score());
            assertThat(answer.tokenIds()).isEqualTo(stated.tokenIds());
            assertThat(other.beamSearch(2)).isEqualTo(new BeamOptions(2, 0, EarlyStopping.HEURISTIC));
            assertThat(other.generate(ask(4).build()).generations().get(0).score())
                    .isEmpty();
        }
    }

    @Test
    void generationConfigWithReturnSequences_hasRequestsThatStateNoNumberGetSoMany(@TempDir Path folder)
            throws IOException {
        copyWithGenerationConfig(folder, "{\"num_return_sequences\": 3}");
        try (Dolly other = Dolly.load(folder, options())) {
            GenerationRequest.Builder drawn = ask(4).seed(1);
            List<Generation> answers = other.generate(drawn.build()).generations();
            assertThat(answers).hasSize(3);
            assertThat(other.generate(drawn.sequences(1).build()).generations())
                    .singleElement()
                    .extracting(Generation::text)
                    .isEqualTo(answers.get(0).text());
            GenerationRequest.Builder greedy = ask(4).sampling(other.greedySampling());
            assertThat(other.generate(greedy.build()).generations()).hasSize(1);
            assertThat(other.generate(greedy.beams(BeamOptions.of(4)).build()).generations())
                    .hasSize(3);
            assertThatThrownBy(
                            () -> other.generate(greedy.beams(BeamOptions.of(2)).build()))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage(folder.resolve("generation_config.json")
                            + ": num_return_sequences = 3 must be at most 2, the number of beams. Correct the file, or"
                            + " state the request's sequences.");
        }
    }

    private static void copyWithGenerationConfig(Path folder, String config) throws IOException {
        copyCheckpoint(folder);
        Files.writeString(folder.resolve("generation_config.json"), config);
    }
}
