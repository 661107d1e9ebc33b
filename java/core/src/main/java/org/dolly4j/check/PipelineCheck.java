package org.dolly4j.check;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.FinishReason;
import org.dolly4j.Generation;
import org.dolly4j.GenerationRequest;
import org.dolly4j.GenerationResult;
import org.dolly4j.prompt.PythonWhitespace;
import org.dolly4j.runtime.ModelOptions.ComputeType;
import org.dolly4j.sampling.SamplingOptions;
import org.dolly4j.tokenizer.Tokenizer;

/**
 * Compares whole answers with Dolly's Hugging Face pipeline, by the {@code pipeline} folder of the goldens. Everything
 * runs greedily, in float32, with special tokens in the text recognised.
 */
public final class PipelineCheck {
    private static final String GENERATE = "generate";
    private static final String STOP_STRINGS = "stop_strings";
    private static final String POSTPROCESS = "postprocess";
    private static final String PUBLISHED = "dolly-tokenizer";

    private final Path goldens;
    private final Path tokenizers;
    private final DollyOptions options;

    private PipelineCheck(Path goldens, Path tokenizers, DollyOptions options) {
        this.goldens = goldens;
        this.tokenizers = tokenizers;
        this.options = options.toBuilder().computeType(ComputeType.FLOAT32).build();
    }

    /**
     * Runs every file of the folder; a file of an unknown kind, and cases whose checkpoint or tokenizer is not there, are
     * skipped by name.
     *
     * @param goldens the folder {@code pipeline} of a goldens folder
     * @param tokenizers the folder that holds the tokenizer folders which the goldens name
     * @param options backend, device and threads; compute type and tokenizer are the goldens'
     * @return one report per file, in order of the names
     * @throws CheckpointException if a file of the goldens cannot be read, or a checkpoint cannot be loaded
     */
    public static List<CheckReport> run(Path goldens, Path tokenizers, DollyOptions options) {
        PipelineCheck check = new PipelineCheck(goldens, tokenizers, options);
        List<Part> parts = new ArrayList<>();
        try (Stream<Path> files = Files.list(goldens)) {
            for (Path file : files.sorted().toList()) {
                String name = file.getFileName().toString();
                if (name.endsWith(".jsonl")) {
                    parts.add(new Part(name.substring(0, name.lastIndexOf('.')), Goldens.lines(file)));
                }
            }
        } catch (IOException e) {
            throw new CheckpointException(goldens + ": cannot be listed (" + e + ")", e);
        }
        check.runModelParts(parts);
        parts.forEach(check::runTextPart);
        return parts.stream().map(Part::report).toList();
    }

    /** A file of the goldens and what came of it. */
    private record Part(String name, List<JsonObject> lines, CheckReport report) {
        Part(String name, List<JsonObject> lines) {
            this(name, lines, new CheckReport("pipeline/" + name));
        }

        boolean is(String kind) {
            return name.startsWith(kind);
        }
    }

    /** A checkpoint with one of its tokenizers. */
    private record Pair(String checkpoint, String tokenizer) implements Comparable<Pair> {
        static Pair of(JsonObject line) {
            return new Pair(Goldens.text(line, "checkpoint"), Goldens.text(line, "tokenizer"));
        }

        @Override
        public int compareTo(Pair other) {
            return toString().compareTo(other.toString());
        }
    }

    /** Loads every checkpoint once per tokenizer, and runs all that is for the two. */
    private void runModelParts(List<Part> parts) {
        TreeMap<Pair, Boolean> pairs = new TreeMap<>();
        parts.stream()
                .filter(part -> part.is(GENERATE) || part.is(STOP_STRINGS))
                .flatMap(part -> part.lines.stream())
                .forEach(line -> pairs.put(Pair.of(line), true));
        for (Pair pair : pairs.keySet()) {
            Path checkpoint = goldens.resolve("checkpoints").resolve(pair.checkpoint);
            Optional<Path> tokenizer = tokenizerOf(pair, checkpoint);
            if (!Files.isDirectory(checkpoint) || tokenizer.isEmpty()) {
                Path missing = Files.isDirectory(checkpoint) ? tokenizers.resolve(pair.tokenizer) : checkpoint;
                forCases(parts, pair, (part, line, index) -> part.report.skip(name(index), "no folder " + missing));
                continue;
            }
            DollyOptions withTokenizer =
                    options.toBuilder().tokenizer(tokenizer.get()).build();
            try (Dolly dolly = Dolly.load(checkpoint, withTokenizer)) {
                forCases(parts, pair, (part, line, index) -> {
                    if (part.is(GENERATE)) {
                        generate(dolly, line, index, part.report);
                    } else {
                        count(part.report, name(index), stopStrings(dolly, line));
                    }
                });
            }
        }
    }

    /** The published tokenizer is in the checkpoint's folder; where it is not, and for the others, beside the goldens. */
    private Optional<Path> tokenizerOf(Pair pair, Path checkpoint) {
        if (pair.tokenizer.equals(PUBLISHED) && Files.exists(checkpoint.resolve("tokenizer.json"))) {
            return Optional.of(checkpoint);
        }
        return Optional.of(tokenizers.resolve(pair.tokenizer)).filter(Files::isDirectory);
    }

    private interface CaseCheck {
        void run(Part part, JsonObject line, int index);
    }

    private static void forCases(List<Part> parts, Pair pair, CaseCheck check) {
        for (Part part : parts) {
            for (int i = 0; i < part.lines.size(); i++) {
                JsonObject line = part.lines.get(i);
                if ((part.is(GENERATE) || part.is(STOP_STRINGS))
                        && Pair.of(line).equals(pair)) {
                    check.run(part, line, i);
                }
            }
        }
    }

    private static GenerationRequest.Builder request(JsonObject line, JsonObject row) {
        return GenerationRequest.forInstruction(Goldens.text(row, "instruction"))
                .allowSpecialTokensInText(true)
                .sampling(SamplingOptions.greedy())
                .maxNewTokens(line.get("max_new_tokens").getAsInt());
    }

    /** Runs the prompts of a case as one batch. Every other case asks for full texts, which end with the answers. */
    private static void generate(Dolly dolly, JsonObject line, int index, CheckReport report) {
        List<JsonObject> rows = new ArrayList<>();
        line.getAsJsonArray("rows").forEach(row -> rows.add(row.getAsJsonObject()));
        List<Integer> stopIds =
                Arrays.stream(Goldens.ints(line, "stop_ids")).boxed().toList();
        boolean fullText = index % 2 == 1;
        String text = fullText ? "full_text" : "answer";
        List<GenerationRequest> requests = rows.stream()
                .map(row -> request(line, row)
                        .stopTokenIds(stopIds)
                        .returnFullText(fullText)
                        .build())
                .toList();
        List<GenerationResult> results = dolly.generateAll(requests);
        for (int i = 0; i < rows.size(); i++) {
            JsonObject row = rows.get(i);
            String why = firstDifference(
                    difference("prompt_ids", Goldens.ints(row, "prompt_ids"), dolly.promptTokens(requests.get(i))),
                    generated(row, results.get(i).generations().get(0)),
                    difference(text, Goldens.text(row, text), results.get(i).text()));
            count(report, rows.size() == 1 ? name(index) : name(index) + ", row " + (i + 1), why);
        }
    }

    private static String name(int index) {
        return "line " + (index + 1);
    }

    /** Tokens and finish. Dolly's pipeline goes on after an end key spelt out, where this one stops. */
    private static String generated(JsonObject row, Generation found) {
        int[] ids = Goldens.ints(row, "generated_ids");
        String finish = Goldens.text(row, "finish");
        JsonElement endKeyAfter = row.get("end_key_after");
        if (endKeyAfter != null && !endKeyAfter.isJsonNull()) {
            ids = Arrays.copyOf(ids, endKeyAfter.getAsInt());
            finish = "end";
        }
        FinishReason expected =
                switch (finish) {
                    case "length" -> FinishReason.LENGTH;
                    case "end" -> FinishReason.END;
                    case "eos" -> FinishReason.EOS;
                    case "stop" -> FinishReason.STOP;
                    default -> throw new CheckpointException("an unknown finish in the goldens: " + finish);
                };
        return firstDifference(
                difference("generated_ids", ids, found.tokenIds()),
                difference("finish", expected.name(), found.finishReason().name()));
    }

    private static String stopStrings(Dolly dolly, JsonObject line) {
        List<String> stops = new ArrayList<>();
        line.getAsJsonArray("stop_strings").forEach(stop -> stops.add(stop.getAsString()));
        GenerationRequest request = request(line, line).stopStrings(stops).build();
        StringBuilder streamed = new StringBuilder();
        Generation found = dolly.generate(request, piece -> streamed.append(piece.text()))
                .generations()
                .get(0);
        String answer = PythonWhitespace.strip(Goldens.text(line, "text_until_stop"));
        return firstDifference(
                difference("generated_ids", Goldens.ints(line, "generated_ids"), found.tokenIds()),
                difference(
                        "finish", FinishReason.STOP.name(), found.finishReason().name()),
                difference("text_until_stop", answer, found.text()),
                difference("text_until_stop, streamed", answer, streamed.toString()));
    }

    private void runTextPart(Part part) {
        if (part.is(POSTPROCESS)) {
            TreeMap<String, Tokenizer> loaded = new TreeMap<>();
            for (int i = 0; i < part.lines.size(); i++) {
                JsonObject line = part.lines.get(i);
                Path folder = tokenizers.resolve(Goldens.text(line, "tokenizer"));
                if (Files.isDirectory(folder)) {
                    Tokenizer tokenizer = loaded.computeIfAbsent(folder.toString(), any -> Tokenizer.load(folder));
                    count(part.report, name(i), postprocess(tokenizer, line));
                } else {
                    part.report.skip(name(i), "no folder " + folder);
                }
            }
        } else if (!part.is(GENERATE) && !part.is(STOP_STRINGS)) {
            part.report.skip(part.name, "this version does not know what it holds");
        }
    }

    private static String postprocess(Tokenizer tokenizer, JsonObject line) {
        int[] ids = Goldens.ints(line, "ids");
        Optional<String> found = SequenceAnswer.find(tokenizer, ids);
        return firstDifference(
                difference("text", Goldens.text(line, "text"), tokenizer.decode(ids, false)),
                difference(
                        "response_key_found",
                        Goldens.text(line, "response_key_found"),
                        String.valueOf(found.isPresent())),
                difference("answer_first_keys", Goldens.text(line, "answer_first_keys"), found.orElse("")));
    }

    /** The first that is not empty, or empty. */
    private static String firstDifference(String... differences) {
        return Arrays.stream(differences)
                .filter(difference -> !difference.isEmpty())
                .findFirst()
                .orElse("");
    }

    private static String difference(String what, int[] expected, int[] found) {
        int at = Arrays.mismatch(expected, found);
        return at < 0
                ? ""
                : "%s differ from index %d on: expected %s, found %s"
                        .formatted(what, at, Arrays.toString(expected), Arrays.toString(found));
    }

    private static String difference(String what, String expected, String found) {
        return expected.equals(found) ? "" : "%s: expected '%s', found '%s'".formatted(what, expected, found);
    }

    private static void count(CheckReport report, String name, String why) {
        if (why.isEmpty()) {
            report.pass();
        } else {
            report.fail(name, why);
        }
    }
}
