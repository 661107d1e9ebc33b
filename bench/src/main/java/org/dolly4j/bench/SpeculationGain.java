package org.dolly4j.bench;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.IntToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.dolly4j.checkpoint.Checkpoint;
import org.dolly4j.engine.Engine;
import org.dolly4j.engine.EngineOptions;
import org.dolly4j.engine.Event;
import org.dolly4j.engine.Request;
import org.dolly4j.engine.RequestSpec;
import org.dolly4j.engine.StopCondition;
import org.dolly4j.model.Family;
import org.dolly4j.model.WeightPlan;
import org.dolly4j.prompt.PromptKeys;
import org.dolly4j.prompt.PromptTemplate;
import org.dolly4j.runtime.DecoderModel;
import org.dolly4j.runtime.DecoderSession;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.tokenizer.Tokenizer;

/**
 * What speculation saves on the rows of databricks-dolly-15k that carry a context: the engine is made to write the
 * human answers token by token, with drafts and without, and steps take what the rows of a real model's do.
 */
public final class SpeculationGain {
    /** Most tokens of prompt and answer, more than the longest of those rows has; a model may have fewer. */
    private static final int CONTEXT = 4096;

    private static final Pattern WITH_CONTEXT =
            Pattern.compile("### Instruction:\\n(.*)\\n\\n### Input:\\n(.*)\\n\\n### Response:$", Pattern.DOTALL);

    private SpeculationGain() {}

    /**
     * Prints the table.
     *
     * @param args {@code --prompts FILE} of JSON lines with "prompt" and "answer"; {@code --tokenizer DIR}; either
     *     {@code --costs ROWS:COST,...}, what steps cost by their rows beside one row, linear in between, or {@code
     *     --model DIR} and {@code --dtype TYPE}, whose steps are run, without the prompts that exceed its context;
     *     {@code --rows N} for the first N prompts alone
     */
    public static void main(String[] args) throws IOException, InterruptedException {
        run(args, System.out);
    }

    static void run(String[] args, PrintStream out) throws IOException, InterruptedException {
        ToolOptions options =
                new ToolOptions(args, List.of("--prompts", "--tokenizer", "--costs", "--model", "--dtype", "--rows"));
        Tokenizer tokenizer = Tokenizer.load(Path.of(options.required("--tokenizer")));
        List<Taught> all = read(Path.of(options.required("--prompts")), tokenizer);
        List<Taught> taught = all.subList(0, (int) Math.min(all.size(), options.number("--rows", all.size(), 1)));
        Optional<String> folder = options.text("--model");
        if (folder.isPresent()) {
            WeightType type = options.choose("--dtype", WeightType.BFLOAT16, WeightType.values(), ToolOptions::label);
            WeightPlan plan = Family.planFor(Checkpoint.open(Path.of(folder.get())));
            try (DecoderModel model = DecoderModel.load(
                    plan.spec(), plan.rows(), new ModelOptions(type, Backend.KERNELS, "cpu", 0, false))) {
                int context = Math.min(CONTEXT, model.spec().contextLength());
                List<Taught> fitting = taught.stream()
                        .filter(one -> one.prompt.length + one.answer.length <= context)
                        .toList();
                int blocks = context / DecoderSession.BLOCK_SIZE;
                report(fitting, () -> TeacherSession.timedBy(model.newSession(blocks, 64, 64)), out);
            }
        } else {
            IntToDoubleFunction costs = costs(options.required("--costs"));
            report(taught, () -> TeacherSession.timedBy(costs, tokenizer.vocabSize()), out);
        }
    }

    /** A prompt with context, and the tokens of the human answer, "### End" at its end. */
    private record Taught(int[] prompt, int[] answer) {}

    private static List<Taught> read(Path file, Tokenizer tokenizer) throws IOException {
        PromptTemplate template = new PromptTemplate(new PromptKeys(
                Optional.of(PromptKeys.INSTRUCTION_KEY),
                Optional.of(PromptKeys.RESPONSE_KEY),
                Optional.of(PromptKeys.END_KEY)));
        List<Taught> taught = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            JsonObject row = JsonParser.parseString(line).getAsJsonObject();
            Matcher parts = WITH_CONTEXT.matcher(row.get("prompt").getAsString());
            if (parts.find()) {
                String prompt = template.render(parts.group(1), Optional.of(parts.group(2)))
                        .text();
                taught.add(new Taught(
                        tokenizer.encode(prompt),
                        tokenizer.encode(row.get("answer").getAsString() + PromptKeys.END_KEY)));
            }
        }
        return taught;
    }

    /** Costs by rows, linear between those given, and beyond as between the last two. */
    static IntToDoubleFunction costs(String text) {
        NavigableMap<Integer, Double> given = new TreeMap<>();
        for (String one : text.split(",", -1)) {
            String[] parts = one.split(":", -1);
            if (parts.length != 2) {
                throw new IllegalArgumentException("--costs must be ROWS:COST,... and not '" + text + "'.");
            }
            given.put(Integer.valueOf(parts[0]), Double.valueOf(parts[1]));
        }
        if (given.size() < 2 || given.firstKey() != 1) {
            throw new IllegalArgumentException("--costs must name the cost of 1 row and of another number.");
        }
        return rows -> {
            Map.Entry<Integer, Double> low = given.floorEntry(rows);
            Map.Entry<Integer, Double> high = given.higherEntry(rows);
            if (high == null) {
                high = given.lastEntry();
                low = given.lowerEntry(high.getKey());
            }
            double slope = (high.getValue() - low.getValue()) / (high.getKey() - low.getKey());
            return low.getValue() + slope * (rows - low.getKey());
        };
    }

    private interface Sessions {
        TeacherSession open();
    }

    private static void report(List<Taught> taught, Sessions sessions, PrintStream out) throws InterruptedException {
        try (Writer plain = new Writer(sessions.open(), false);
                Writer drafting = new Writer(sessions.open(), true)) {
            boolean isPlainFirst = true;
            for (Taught one : taught) { // in turns, since machines change their speed
                for (Writer writer : isPlainFirst ? List.of(plain, drafting) : List.of(drafting, plain)) {
                    writer.write(one);
                }
                isPlainFirst = !isPlainFirst;
            }
            out.println(
                    "| prompts | tokens | steps | tokens per step | drafts | accepted | times as fast as without |");
            out.println("|---|---|---|---|---|---|---|");
            out.printf(
                    "| %d | %,d | %,d | %.2f | %,d | %,d | %.2f |%n",
                    taught.size(),
                    drafting.tokens,
                    drafting.session.answerSteps(),
                    (double) drafting.tokens / drafting.session.answerSteps(),
                    drafting.engine.counters().draftTokens(),
                    drafting.engine.counters().acceptedDraftTokens(),
                    plain.session.answerCost() / drafting.session.answerCost());
        }
    }

    /** An engine that writes what it is taught. */
    private static final class Writer implements AutoCloseable {
        private final TeacherSession session;
        private final Engine engine;

        /** Written so far, but for the first one of each answer, which the prompt's step gives. */
        private long tokens;

        Writer(TeacherSession session, boolean speculation) {
            this.session = session;
            EngineOptions defaults = EngineOptions.DEFAULT;
            EngineOptions options =
                    new EngineOptions(defaults.maxQueuedRequests(), defaults.maxStep(), false, speculation);
            engine = new Engine("teacher", session, CONTEXT, 1, options);
        }

        void write(Taught one) throws InterruptedException {
            int[] text = IntStream.concat(Arrays.stream(one.prompt), Arrays.stream(one.answer))
                    .toArray();
            session.teach(text, one.prompt.length);
            Request request = engine.submit(new RequestSpec(
                    one.prompt,
                    1,
                    one.answer.length,
                    SamplingOptions.greedy(),
                    new int[] {},
                    new int[] {},
                    StopCondition.NEVER,
                    0,
                    Optional.empty(),
                    "",
                    Optional.empty(),
                    OptionalInt.empty(),
                    List.of()));
            for (int token : one.answer) {
                Event event = request.next();
                if (!(event instanceof Event.Token drawn) || drawn.token() != token) {
                    throw new IllegalStateException("The engine does not write what it was taught: " + event);
                }
            }
            request.next();
            tokens += one.answer.length - 1;
        }

        @Override
        public void close() {
            engine.close();
        }
    }
}
