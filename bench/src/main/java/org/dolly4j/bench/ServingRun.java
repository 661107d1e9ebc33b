package org.dolly4j.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.dolly4j.Dolly;
import org.dolly4j.GenerationRequest;
import org.dolly4j.sampling.SamplingOptions;

/** Requests sent to a model by one rule, until the run ends. */
final class ServingRun {
    private final Dolly dolly;
    private final SamplingOptions sampling;
    private final long begin = System.nanoTime();
    private final CountDownLatch failed = new CountDownLatch(1);
    private final List<ServingRequest> requests = new ArrayList<>();
    private boolean ended;

    /** Draws greedily. */
    ServingRun(Dolly dolly) {
        this(dolly, SamplingOptions.greedy());
    }

    ServingRun(Dolly dolly, SamplingOptions sampling) {
        this.dolly = dolly;
        this.sampling = sampling;
    }

    /** Of exactly the prompt's number of new tokens. */
    static GenerationRequest generation(ServingPrompt prompt, SamplingOptions sampling) {
        return GenerationRequest.forPrompt(prompt.text())
                .maxNewTokens(prompt.newTokens())
                .sampling(sampling.toBuilder().minNewTokens(prompt.newTokens()).build())
                .stopStrings(List.of())
                .build();
    }

    /**
     * Sends a request; after the run has ended nothing.
     *
     * @param afterwards called on a thread of the library once the answer is complete
     */
    void send(String kind, ServingPrompt prompt, Consumer<ServingRequest> afterwards) {
        ServingRequest request = new ServingRequest(kind, prompt.tokens().size(), begin, answered -> {
            if (answered.failure() == null) {
                afterwards.accept(answered);
            } else {
                failed.countDown();
            }
        });
        synchronized (this) {
            if (ended) {
                return;
            }
            requests.add(request);
        }
        dolly.publisher(generation(prompt, sampling)).subscribe(request);
    }

    /** Sends prompts forever, the next when the last is answered, beginning with {@code next} of a shared counter. */
    void sendInTurn(String kind, List<ServingPrompt> prompts, AtomicInteger next) {
        ServingPrompt prompt = prompts.get(Math.floorMod(next.getAndIncrement(), prompts.size()));
        send(kind, prompt, answered -> sendInTurn(kind, prompts, next));
    }

    /** Sends prompts at once, and waits for all the answers, or so many seconds after each has its first token. */
    void sendTogether(List<ServingPrompt> prompts, double seconds) throws InterruptedException {
        prompts.forEach(prompt -> send("user", prompt, answered -> {}));
        for (ServingRequest request : all()) {
            request.awaitFirstToken();
        }
        double end = now() + seconds;
        for (ServingRequest request : all()) {
            request.await(end - now());
        }
    }

    /** Waits until so many seconds after the begin of the run, or for the first request that fails. */
    void waitUntil(double seconds) throws InterruptedException {
        boolean unused = failed.await((long) (seconds * 1e9) - (System.nanoTime() - begin), TimeUnit.NANOSECONDS);
    }

    /** Seconds since the run began. */
    double now() {
        return (System.nanoTime() - begin) / 1e9;
    }

    /**
     * Ends the run: cancels what is not answered.
     *
     * @throws IllegalStateException if a request failed
     */
    List<ServingRequest.Seen> end() {
        synchronized (this) {
            ended = true;
        }
        all().forEach(ServingRequest::cancel);
        for (ServingRequest request : all()) {
            if (request.failure() != null) {
                throw new IllegalStateException("A request failed: " + request.failure(), request.failure());
            }
        }
        return all().stream().map(ServingRequest::seen).toList();
    }

    private synchronized List<ServingRequest> all() {
        return List.copyOf(requests);
    }
}
