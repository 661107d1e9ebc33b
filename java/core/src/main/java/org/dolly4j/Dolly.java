package org.dolly4j;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Queue;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.dolly4j.hub.HeaderFolder;
import org.dolly4j.hub.Hub;
import org.dolly4j.hub.HubRepository;
import org.dolly4j.sampling.BeamOptions;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.tokenizer.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Dolly model, loaded and ready to answer.
 *
 * <pre>{@code
 * try (Dolly dolly = Dolly.load(Path.of("dolly-v2-3b"))) {
 *     System.out.println(dolly.generate("Why is the sky blue?"));
 * }
 * }</pre>
 *
 * <p>Text, defaults and key handling are those of databricks' {@code InstructionTextGenerationPipeline}. All methods
 * are safe from any thread, and requests of several threads run together; an answer depends on its request and seed,
 * not on what runs beside it. Answers are handed out on the thread that waits for them. After {@link #close} every
 * method that asks the model throws {@link IllegalStateException}.
 */
public final class Dolly implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Dolly.class);
    private static final Cleaner CLEANER = Cleaner.create();

    /** Requests of one call that are begun together: several times as many as decode at once. */
    private static final int MOST_TOGETHER = 256;

    private final DollyOptions options;
    private final Resources resources;
    private final ModelHolder models;
    private final Cleaner.Cleanable cleanable;

    private Dolly(AnsweringModel model, DollyOptions options) {
        this.options = options;
        models = new ModelHolder(model);
        resources = new Resources(models);
        cleanable = CLEANER.register(this, resources);
    }

    /** What {@link #close} frees; apart from the Dolly itself, so that the cleaner does not keep that alive. */
    private static final class Resources implements Runnable {
        private final ModelHolder models;
        private final ExecutorService consumers;

        Resources(ModelHolder models) {
            this.models = models;
            consumers = Executors.newCachedThreadPool(task -> {
                Thread thread = new Thread(
                        task, "dolly4j-consumer-" + models.present().info().name());
                thread.setDaemon(true);
                return thread;
            });
        }

        void close() {
            models.close();
            consumers.shutdown();
        }

        @Override
        public void run() {
            if (!models.isClosed()) {
                ModelInfo info = models.present().info();
                LOG.warn(
                        "A Dolly ({}) was not closed before it was garbage. Close it, best by try-with-resources: its"
                                + " {} MB of native memory are invisible to the garbage collector.",
                        info.name(),
                        (info.weightBytes() + info.kvCacheBytes()) >> 20);
                close();
            }
        }
    }

    /** Loads a model folder with default options; see {@link #load(Path, DollyOptions)}. */
    public static Dolly load(Path folder) {
        return load(folder, DollyOptions.defaults());
    }

    /**
     * Loads a model folder in the layout of Hugging Face: config.json, weights, tokenizer.json.
     *
     * @throws CheckpointException if a file is missing, damaged or of a kind that is not supported
     * @throws BackendException if the backend or device is not available, or memory is short
     */
    public static Dolly load(Path folder, DollyOptions options) {
        Objects.requireNonNull(folder, "folder");
        return load(nameOf(folder), folder, options);
    }

    private static String nameOf(Path folder) {
        Path name = folder.toAbsolutePath().normalize().getFileName();
        return name == null ? folder.toString() : name.toString();
    }

    private static Dolly load(String name, Path folder, DollyOptions options) {
        return new Dolly(AnsweringModel.load(name, folder, Objects.requireNonNull(options, "options")), options);
    }

    /** Loads a model with default options; see {@link #load(String, DollyOptions)}. */
    public static Dolly load(String model) {
        return load(model, DollyOptions.defaults());
    }

    /**
     * Loads a model folder given as text, or a model of the Hugging Face hub given by its id, such as {@code
     * databricks/dolly-v2-3b}. What is there as a file or folder is not looked for on the hub. A model of the hub is
     * downloaded once, to the cache that Python uses too; see {@link org.dolly4j.hub.Hub#download}.
     *
     * @param model path of a folder, or id
     * @throws HubException if it is the id of a model that cannot be downloaded and is not in the cache
     * @throws CheckpointException as {@link #load(Path, DollyOptions)}
     * @throws BackendException as {@link #load(Path, DollyOptions)}
     * @throws IllegalArgumentException if the options state a revision, and the model is a folder
     * @throws java.util.concurrent.CancellationException if the thread is interrupted during a download
     */
    public static Dolly load(String model, DollyOptions options) {
        Path folder = folderOf(model, options);
        return load(nameOf(model, folder), folder, options);
    }

    private static String nameOf(String model, Path folder) {
        return Hub.isModel(model) ? model : nameOf(folder);
    }

    /** The folder that a text names, see {@link #load(String, DollyOptions)}; a model of the hub is downloaded to it. */
    static Path folderOf(String model, DollyOptions options) {
        Objects.requireNonNull(model, "model");
        Objects.requireNonNull(options, "options");
        Path path = pathOf(model);
        if (Hub.isModel(model)) {
            return fromHub(model, options, Hub::download);
        }
        if (options.revision().isPresent()) {
            throw new IllegalArgumentException("A revision ('"
                    + options.revision().get() + "') is one of a model of the hub, but '" + model + "' is a path.");
        }
        return path;
    }

    private static Path pathOf(String model) {
        try {
            return Path.of(model);
        } catch (InvalidPathException e) {
            throw new CheckpointException("'" + model + "' is no path of a model folder: " + e.getReason(), e);
        }
    }

    /** The folder of a model's configuration: of a model of the hub no weights are downloaded for it. */
    static Path configFolderOf(String model, DollyOptions options) {
        return Hub.isModel(model) ? fromHub(model, options, Hub::downloadTokenizer) : folderOf(model, options);
    }

    /** What stands before a model's weights, if it is one of the hub and that can be known without them. */
    static Optional<HeaderFolder> headersOf(String model, DollyOptions options) {
        return Hub.isModel(model) ? fromHub(model, options, Hub::downloadHeaders) : Optional.empty();
    }

    private static <T> T fromHub(String id, DollyOptions options, BiFunction<Hub, HubRepository, T> bring) {
        return new Hub(options.hub()).bring(id, options.revision(), bring);
    }

    /** Loads the small demo model with default options; see {@link #demo(DollyOptions)}. */
    public static Dolly demo() {
        return demo(DollyOptions.defaults());
    }

    /**
     * Loads the small demo model that the artifact {@code dolly4j-demo-model} carries. Its files are extracted once, to
     * the folder that the system property {@code dolly4j.demo.dir} names, or else to one of this user under the
     * temporary folder.
     *
     * @throws CheckpointException if the artifact is not on the class path or cannot be extracted
     */
    public static Dolly demo(DollyOptions options) {
        return load(DemoModel.NAME, DemoModel.folder(), options);
    }

    /** What the model is and how it is held. */
    public ModelInfo info() {
        return models.present().info();
    }

    /** What it has done since it was loaded and what it holds now, in numbers. Also after {@link #close}. */
    public EngineMetrics metrics() {
        return models.present().metrics();
    }

    /** The model's tokenizer. */
    public Tokenizer tokenizer() {
        return models.present().tokenizer();
    }

    /**
     * The sampling of requests that state none: that of Dolly's pipeline ({@code doSample}, {@code topP} 0.92, {@code
     * topK} 0), other values from generation_config.json.
     *
     * @throws CheckpointException if a value of that file is out of its range; so do requests that state no sampling
     */
    public SamplingOptions defaultSampling() {
        return models.present().defaultSampling().drawn();
    }

    /**
     * The best token at every step, with the values of generation_config.json that count then: penalties, banned
     * tokens, least lengths.
     *
     * @throws CheckpointException if one of these values is out of its range
     */
    public SamplingOptions greedySampling() {
        return models.present().defaultSampling().greedy();
    }

    /**
     * Beam search with so many beams, and with the length penalty and early stopping of generation_config.json. Requests
     * that draw nothing and state no beams search so by themselves if that file states {@code num_beams}.
     *
     * @throws IllegalArgumentException if the number is out of its range
     * @throws CheckpointException if a value of the file is
     */
    public BeamOptions beamSearch(int beams) {
        return models.present().defaultSampling().beams(beams);
    }

    /**
     * Answers an instruction, with the defaults of Dolly's pipeline.
     *
     * @return the answer's text
     * @throws IllegalArgumentException if the instruction is empty
     * @throws ContextLengthException if it is longer than the model's context or KV cache
     */
    public String generate(String instruction) {
        return generate(GenerationRequest.forInstruction(instruction).build()).text();
    }

    /**
     * Answers a request, and waits for all of it.
     *
     * @throws IllegalArgumentException if an option does not suit the model
     * @throws CheckpointException if the request states no sampling and the default has a value out of its range
     * @throws ContextLengthException if prompt and answer exceed the model's context or KV cache
     * @throws EngineOverloadedException if as many requests wait as the model was loaded for
     * @throws IllegalStateException if the model is closed, also while the request runs
     * @throws BackendException if the backend fails
     * @throws java.util.concurrent.CancellationException if the thread is interrupted
     */
    public GenerationResult generate(GenerationRequest request) {
        return generate(request, piece -> {});
    }

    /**
     * Answers a request and hands its text out as it comes. Exceptions are those of
     * {@link #generate(GenerationRequest)} and of the consumer; the latter cancel the request.
     *
     * @param consumer called on this thread, in order; as slow as it likes: the answer is written meanwhile, and what
     *     was not handed out waits in the heap
     */
    public GenerationResult generate(GenerationRequest request, Consumer<? super TextPiece> consumer) {
        RunningGeneration running = models.begin(request);
        try {
            for (Optional<TextPiece> piece = running.nextPiece(); piece.isPresent(); piece = running.nextPiece()) {
                consumer.accept(piece.get());
            }
            return running.result();
        } finally {
            running.cancel();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Answers several requests, which may run together.
     *
     * @return the results in the order of the requests
     * @throws RuntimeException as {@link #generate(GenerationRequest)}; the first failure cancels the others
     */
    public List<GenerationResult> generateAll(List<GenerationRequest> requests) {
        List<GenerationResult> results = new ArrayList<>();
        generateAll(requests, results::add);
        return List.copyOf(results);
    }

    /**
     * Answers several requests, which may run together, and hands out each result as soon as it and those before it
     * are there. Exceptions are those of {@link #generate(GenerationRequest)} and of the consumer; the first one
     * cancels what has not been handed out. There may be any number of them: no more than a few hundred, or as many as
     * half of those that may wait, are begun at a time, the next ones once others are handed out.
     *
     * @param consumer called on this thread, in the order of the requests
     */
    public void generateAll(List<GenerationRequest> requests, Consumer<? super GenerationResult> consumer) {
        int most = Math.max(1, Math.min(MOST_TOGETHER, options.maxQueuedRequests() / 2));
        Queue<RunningGeneration> running = new ArrayDeque<>();
        try {
            for (GenerationRequest request : requests) {
                if (running.size() == most) {
                    consumer.accept(running.element().await());
                    running.remove();
                }
                running.add(beginAfter(running, request, consumer));
            }
            while (!running.isEmpty()) {
                consumer.accept(running.element().await());
                running.remove();
            }
        } finally {
            running.forEach(RunningGeneration::cancel);
            Reference.reachabilityFence(this);
        }
    }

    /** Begins a request, once others have been handed out where too many wait. */
    private RunningGeneration beginAfter(
            Queue<RunningGeneration> running, GenerationRequest request, Consumer<? super GenerationResult> consumer) {
        while (true) {
            try {
                return models.begin(request);
            } catch (EngineOverloadedException e) {
                if (running.isEmpty()) {
                    throw e; // by requests of others
                }
                consumer.accept(running.element().await());
                running.remove();
            }
        }
    }

    /**
     * Streams the answer to an instruction, with the defaults of Dolly's pipeline; see
     * {@link #stream(GenerationRequest)}.
     */
    public Stream<String> stream(String instruction) {
        return stream(GenerationRequest.forInstruction(instruction).build())
                .map(TextPiece::text)
                .filter(text -> !text.isEmpty());
    }

    /**
     * Answers a request as a stream of its text, which waits for each piece. Closing the stream cancels the request;
     * close one that is not read to its end.
     *
     * @throws RuntimeException as {@link #generate(GenerationRequest)}: here if the request cannot begin, and from the
     *     stream's terminal operation if it fails later
     */
    public Stream<TextPiece> stream(GenerationRequest request) {
        RunningGeneration running = models.begin(request);
        Spliterator<TextPiece> pieces =
                new Spliterators.AbstractSpliterator<>(Long.MAX_VALUE, Spliterator.ORDERED | Spliterator.NONNULL) {
                    @Override
                    public boolean tryAdvance(Consumer<? super TextPiece> action) {
                        try {
                            Optional<TextPiece> piece = running.nextPiece();
                            piece.ifPresent(action);
                            return piece.isPresent();
                        } finally {
                            Reference.reachabilityFence(Dolly.this);
                        }
                    }
                };
        return StreamSupport.stream(pieces, false).onClose(running::cancel);
    }

    /**
     * The prompt of a request as the model gets it, shortened if the request says so.
     *
     * @return token ids
     * @throws ContextLengthException if prompt and answer exceed the model's context or KV cache
     */
    public int[] promptTokens(GenerationRequest request) {
        return models.present().promptTokens(request);
    }

    /**
     * How likely the model finds texts after a prompt without template; see {@link #score(GenerationRequest, List)}.
     *
     * @param prompt any text; an empty one is the end of a text before
     */
    public List<ContinuationScore> score(String prompt, List<String> continuations) {
        return score(GenerationRequest.forScoring(prompt), continuations);
    }

    /**
     * How likely the model finds texts after a prompt: to choose among given answers, or to measure a model. In Dolly's
     * template each is scored as an answer: its tokens after those that {@link #generate(GenerationRequest)} begins
     * with. Without template, tokens are made as EleutherAI's lm-evaluation-harness makes them, so that its {@code
     * loglikelihood} gives the same: prompt and continuation are encoded as one text, and white space at the prompt's
     * end counts to the continuation. The prompt is computed once for all of them.
     *
     * @param prompt of it its text, {@code allowSpecialTokensInText}, {@code deadline}, {@code cacheSalt} and {@code
     *     topLogprobs} count, and of a chat {@code maxNewTokens}, for which it leaves room; the other options say how
     *     an answer is written, and are passed over
     * @param continuations at least one, none empty, at most {@link GenerationRequest#MAX_SEQUENCES}
     * @return a score for each, in their order
     * @throws IllegalArgumentException if there is no continuation, there are too many, or one adds no token
     * @throws ContextLengthException if one exceeds with the prompt the model's context or KV cache
     * @throws DollyException if the deadline passes
     * @throws RuntimeException as {@link #generate(GenerationRequest)}
     */
    public List<ContinuationScore> score(GenerationRequest prompt, List<String> continuations) {
        Objects.requireNonNull(prompt, "prompt");
        if (continuations.isEmpty() || continuations.size() > GenerationRequest.MAX_SEQUENCES) {
            throw new IllegalArgumentException("There must be 1 to " + GenerationRequest.MAX_SEQUENCES
                    + " continuations to score, not " + continuations.size() + ".");
        }
        RunningGeneration running = models.ask(model -> model.beginScoring(prompt, continuations));
        try {
            List<Generation> scored = running.await().generations();
            if (scored.stream().anyMatch(one -> one.finishReason() == FinishReason.DEADLINE)) {
                throw new DollyException("The deadline passed before all continuations were scored. Allow more time.");
            }
            List<ContinuationScore> scores = new ArrayList<>();
            for (int i = 0; i < scored.size(); i++) {
                Generation one = scored.get(i);
                scores.add(new ContinuationScore(continuations.get(i), one.tokenIds(), one.logprobs()));
            }
            return scores;
        } finally {
            running.cancel();
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Answers a request, and waits for nothing. Whoever cancels the future, or completes it in another way, cancels the
     * request. What is chained to it runs on a thread of this library that waits for nobody else.
     *
     * @return the result, or a failure as {@link #generate(GenerationRequest)} throws it
     * @throws RuntimeException as {@link #generate(GenerationRequest)} if the request cannot begin
     */
    public CompletableFuture<GenerationResult> submit(GenerationRequest request) {
        RunningGeneration running = models.begin(request);
        CompletableFuture<GenerationResult> future = new CompletableFuture<>();
        PieceSubscription.start(running, this::execute, new ResultSubscriber(future));
        CompletableFuture<GenerationResult> unused = future.whenComplete((result, failure) -> running.cancel());
        return future;
    }

    /**
     * Answers a request as a stream with back-pressure: nothing is handed out that was not asked for. Every subscriber
     * has the request begin anew, and ends it by cancelling its subscription. Subscribers are called on threads of this
     * library, one thread at a time for each; one that stalls or throws does so for itself alone, while its answer is
     * being written: what it has not asked for waits in the heap, no more than the tokens that the request may write, of
     * less than 100 bytes each without log-probabilities. One that blocks keeps its thread. A request that cannot begin,
     * or breaks off, ends as {@code onError} with what {@link #generate(GenerationRequest)} throws.
     */
    public Flow.Publisher<TextPiece> publisher(GenerationRequest request) {
        Objects.requireNonNull(request, "request");
        return subscriber -> {
            Objects.requireNonNull(subscriber, "subscriber");
            RunningGeneration running;
            try {
                running = models.begin(request);
            } catch (RuntimeException e) {
                PieceSubscription.refuse(e, subscriber);
                return;
            }
            PieceSubscription.start(running, this::execute, subscriber);
        };
    }

    /** For those whom this library calls; keeps this Dolly from being garbage while they are not done. */
    private void execute(Runnable task) {
        resources.consumers.execute(task);
    }

    /**
     * Loads another checkpoint in the place of this one, such as newly fine-tuned weights, with the options that this
     * one was loaded with; see {@link #reload(Path, DollyOptions)}.
     */
    public void reload(Path folder) {
        reload(folder, options);
    }

    /**
     * Loads another checkpoint, given as for {@link #load(String, DollyOptions)}, with the options that this one was
     * loaded with; see {@link #reload(Path, DollyOptions)}.
     *
     * @throws HubException as {@link #load(String, DollyOptions)}; the checkpoint before goes on then
     */
    public void reload(String model) {
        reload(model, options);
    }

    /**
     * Loads another checkpoint, given as for {@link #load(String, DollyOptions)}; see {@link #reload(Path,
     * DollyOptions)}.
     *
     * @throws HubException as {@link #load(String, DollyOptions)}; the checkpoint before goes on then
     */
    public void reload(String model, DollyOptions options) {
        requireTakingRequests(); // before a download
        Path folder = folderOf(model, options);
        reload(nameOf(model, folder), folder, options);
    }

    /**
     * Loads another checkpoint in the place of this one while requests go on. No request is lost: those that were
     * submitted before it was ready get their answers from the checkpoint before, all later ones from this. Returns
     * when the former have ended and their checkpoint's memory is free; until then there must be memory for both: where
     * the options leave the choice of type or KV cache, less may be made of the new one for that, as at any load, and
     * is logged at INFO. {@link #info()} and {@link #metrics()} are of the newest checkpoint, the latter begin anew with
     * it.
     *
     * @throws CheckpointException as {@link #load(Path, DollyOptions)}; the checkpoint before goes on then
     * @throws BackendException as {@link #load(Path, DollyOptions)}; the checkpoint before goes on then
     * @throws IllegalStateException if the model is closed, also meanwhile
     */
    public void reload(Path folder, DollyOptions options) {
        Objects.requireNonNull(folder, "folder");
        reload(nameOf(folder), folder, options);
    }

    private void reload(String name, Path folder, DollyOptions options) {
        Objects.requireNonNull(options, "options");
        requireTakingRequests();
        try {
            models.replace(AnsweringModel.load(name, folder, options));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private void requireTakingRequests() {
        if (!models.takesRequests()) {
            throw new IllegalStateException("The model was closed; load it again instead of reloading it.");
        }
    }

    /**
     * Takes no more requests from now on, waits until those submitted before have ended, and closes. What has not ended
     * within the time ends as at {@link #close()}.
     *
     * @param drain how long to wait at most
     * @return whether all requests ended by themselves
     */
    public boolean close(Duration drain) {
        Objects.requireNonNull(drain, "drain");
        try {
            return models.drain(drain);
        } finally {
            close();
        }
    }

    /**
     * Frees the model's memory. Requests that are running or waiting end within a step, with an {@link
     * IllegalStateException}. Idempotent.
     */
    @Override
    public void close() {
        resources.close();
        cleanable.clean();
    }
}
