package org.dolly4j;

import java.time.Duration;
import java.util.Locale;
import java.util.Optional;

/** So many requests wait for their turn that one more is not taken. Nothing was done for it; it can be sent again. */
public class EngineOverloadedException extends DollyException {
    private static final long serialVersionUID = 1L;

    private final int queueLength;
    private final transient Optional<Duration> estimatedWait;

    /**
     * @param queueLength requests that wait
     * @param estimatedWait how long one more would wait; empty while nothing is known yet
     */
    public EngineOverloadedException(int queueLength, Optional<Duration> estimatedWait) {
        super(String.format(
                Locale.ROOT,
                "%,d requests wait for their turn%s, which is as many as the model was loaded for. Send the request again"
                        + " later, or load the model with more maxQueuedRequests.",
                queueLength,
                estimatedWait
                        .map(wait -> String.format(Locale.ROOT, ", about %.1f seconds", wait.toMillis() / 1e3))
                        .orElse("")));
        this.queueLength = queueLength;
        this.estimatedWait = estimatedWait;
    }

    /** Requests that wait. */
    public int queueLength() {
        return queueLength;
    }

    /** How long one more request would wait if they went on to begin as they did lately; empty while none has begun. */
    public Optional<Duration> estimatedWait() {
        return estimatedWait == null ? Optional.empty() : estimatedWait;
    }
}
