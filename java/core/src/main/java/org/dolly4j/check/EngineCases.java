package org.dolly4j.check;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.dolly4j.DollyException;
import org.dolly4j.DollyOptions;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.engine.Engine;
import org.dolly4j.engine.EngineOptions;
import org.dolly4j.engine.Event;
import org.dolly4j.engine.Request;
import org.dolly4j.engine.RequestSpec;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.TokenLogprobs;

/** Runs the cases of a goldens file as requests to engines, in float32, all those of a checkpoint at once. */
final class EngineCases {
    private static final int KV_BLOCKS = 2048;
    private static final int MAX_ROWS = 64;

    private final Path checkpoints;
    private final DollyOptions options;
    private final CheckReport report;

    /**
     * @param checkpoints folder of the checkpoints' folders
     * @param options what runs the step, and where
     * @param report counts the cases
     */
    EngineCases(Path checkpoints, DollyOptions options, CheckReport report) {
        this.checkpoints = checkpoints;
        this.options = options;
        this.report = report;
    }

    /**
     * What a request came to, by sequence.
     *
     * @param scores 0 of sequences without one
     */
    record Outcome(List<List<Integer>> tokens, List<List<TokenLogprobs>> logprobs, double[] scores) {
        /** Waits for the end of a request. */
        private static Outcome of(Request request) {
            int count = request.spec().sequences();
            Outcome outcome = new Outcome(new ArrayList<>(), new ArrayList<>(), new double[count]);
            for (int i = 0; i < count; i++) {
                outcome.tokens.add(new ArrayList<>());
                outcome.logprobs.add(new ArrayList<>());
            }
            try {
                Event event = request.next();
                for (; !(event instanceof Event.Completed); event = request.next()) {
                    if (event instanceof Event.Failed failed) {
                        throw new DollyException("The request failed: " + failed.cause(), failed.cause());
                    } else if (event instanceof Event.Score score) {
                        outcome.scores[score.sequence()] = score.score();
                    } else if (event instanceof Event.Token token) {
                        outcome.tokens.get(token.sequence()).add(token.token());
                        token.logprobs().ifPresent(outcome.logprobs.get(token.sequence())::add);
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new DollyException("Interrupted.", e);
            }
            return outcome;
        }
    }

    /**
     * Runs every case; those of checkpoints that are not there are skipped.
     *
     * @param lines of the file, each with the name of its checkpoint
     * @param spec the request of a line
     * @param difference says what differs of an outcome from its line, or nothing
     */
    void run(
            List<GoldenLine> lines,
            Function<GoldenLine, RequestSpec> spec,
            BiFunction<GoldenLine, Outcome, String> difference) {
        Map<String, List<Integer>> byCheckpoint = new TreeMap<>();
        for (int i = 0; i < lines.size(); i++) {
            byCheckpoint
                    .computeIfAbsent(lines.get(i).text("checkpoint"), name -> new ArrayList<>())
                    .add(i);
        }
        byCheckpoint.forEach((name, cases) -> {
            Path folder = checkpoints.resolve(name);
            if (!Files.isDirectory(folder)) {
                report.skip(name + ", " + cases.size() + " cases", "no folder " + folder);
                return;
            }
            report.attempt(name, () -> {
                try (DecoderModel model = load(folder);
                        Engine engine = engine(name, model, cases.size())) {
                    List<Request> requests = cases.stream()
                            .map(i -> engine.submit(spec.apply(lines.get(i))))
                            .toList();
                    for (int i = 0; i < cases.size(); i++) {
                        GoldenLine golden = lines.get(cases.get(i));
                        Request request = requests.get(i);
                        report.check("line " + (cases.get(i) + 1), () -> difference.apply(golden, Outcome.of(request)));
                    }
                }
            });
        });
    }

    private DecoderModel load(Path folder) {
        WeightPlan plan = Family.planFor(Checkpoint.open(folder));
        return DecoderModel.load(
                plan.spec(),
                plan.rows(),
                new ModelOptions(
                        WeightType.FLOAT32,
                        options.backend(),
                        options.device(),
                        options.threads(),
                        options.portableBits()));
    }

    private static Engine engine(String name, DecoderModel model, int requests) {
        DecoderSession session = model.newSession(KV_BLOCKS, MAX_ROWS, MAX_ROWS);
        EngineOptions engineOptions = new EngineOptions(requests, Duration.ofSeconds(1), true, true);
        return new Engine(name, session, model.spec().contextLength(), model.threads(), engineOptions);
    }
}
