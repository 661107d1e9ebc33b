package org.dolly4j.check;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.dolly4j.CheckpointException;
import org.dolly4j.Dolly;
import org.dolly4j.DollyException;
import org.dolly4j.DollyOptions;
import org.dolly4j.FinishReason;
import org.dolly4j.Generation;
import org.dolly4j.GenerationRequest;
import org.dolly4j.GenerationResult;
import org.dolly4j.prompt.PythonWhitespace;
import org.dolly4j.runtime.ModelOptions.WeightType;
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
        this.options = options.toBuilder().dtype(WeightType.FLOAT32).build();
    }

    /**
     * Runs every file of the folder; a file of an unknown kind, and cases whose checkpoint or tokenizer is not there,
     * are skipped by name.
     *
     * @param goldens the folder {@code pipeline} of a goldens folder
     * @param tokenizers the folder that holds the tokenizer folders which the goldens name
     * @param options backend, device and threads; compute type and tokenizer are the goldens'
     * @return one report per file, in order of the names
     * @throws CheckpointException if a file of the goldens cannot be read
     */
    public static List<CheckReport> run(Path goldens, Path tokenizers, DollyOptions options) {
        PipelineCheck check = new PipelineCheck(goldens, tokenizers, options);
        List<Part> parts = new ArrayList<>();
        for (Path file : Goldens.files(goldens)) {
            String name = file.getFileName().toString();
            if (name.endsWith(".jsonl")) {
                parts.add(new Part(name.substring(0, name.lastIndexOf('.')), Goldens.lines(file)));
            }
        }
        check.runModelParts(parts);
        parts.forEach(check::runTextPart);
        return parts.stream().map(Part::report).toList();
    }

    /** A file of the goldens and what came of it. */
    private record Part(String name, List<GoldenLine> lines, CheckReport report) {
        Part(String name, List<GoldenLine> lines) {
            this(name, lines, new CheckReport("pipeline/" + name));
        }

        boolean is(String kind) {
            return name.startsWith(kind);
        }
    }

    /** A checkpoint with one of its tokenizers. */
    private record Pair(String checkpoint, String tokenizer) implements Comparable<Pair> {
        static Pair of(GoldenLine line) {
            return new Pair(line.text("checkpoint"), line.text("tokenizer"));
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
            Dolly loaded;
            try {
                loaded = Dolly.load(checkpoint, withTokenizer);
            } catch (DollyException e) {
                forCases(parts, pair, (part, line, index) -> part.report.fail(name(index), e.getMessage()));
                continue;
            }
            try (Dolly dolly = loaded) {
                forCases(parts, pair, (part, line, index) -> {
                    if (part.is(GENERATE)) {
                        part.report.attempt(name(index), () -> generate(dolly, line, index, part.report));
                    } else {
                        part.report.check(name(index), () -> stopStrings(dolly, line));
                    }
                });
            }
        }
    }

    /**
     * The published tokenizer is in the checkpoint's folder; where it is not, and for the others, beside the goldens.
     */
    private Optional<Path> tokenizerOf(Pair pair, Path checkpoint) {
        if (pair.tokenizer.equals(PUBLISHED) && Files.exists(checkpoint.resolve("tokenizer.json"))) {
            return Optional.of(checkpoint);
        }
        return Optional.of(tokenizers.resolve(pair.tokenizer)).filter(Files::isDirectory);
    }

    private interface CaseCheck {
        void run(Part part, GoldenLine line, int index);
    }

    private static void forCases(List<Part> parts, Pair pair, CaseCheck check) {
        for (Part part : parts) {
            for (int i = 0; i < part.lines.size(); i++) {
                GoldenLine line = part.lines.get(i);
                if ((part.is(GENERATE) || part.is(STOP_STRINGS))
                        && Pair.of(line).equals(pair)) {
                    check.run(part, line, i);
                }
            }
        }
    }

    private static GenerationRequest.Builder request(GoldenLine line, GoldenLine row) {
        return GenerationRequest.forInstruction(row.text("instruction"))
                .allowSpecialTokensInText(true)
                .sampling(SamplingOptions.greedy())
                .maxNewTokens(line.integer("max_new_tokens"));
    }

    /** Runs the prompts of a case as one batch. Every other case asks for full texts, which end with the answers. */
    private static void generate(Dolly dolly, GoldenLine line, int index, CheckReport report) {
        List<GoldenLine> rows = line.objects("rows");
        List<Integer> stopIds = line.integers("stop_ids");
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
            GoldenLine row = rows.get(i);
            GenerationRequest request = requests.get(i);
            GenerationResult result = results.get(i);
            report.check(
                    rows.size() == 1 ? name(index) : name(index) + ", row " + (i + 1),
                    () -> firstDifference(
                            difference("prompt_ids", row.ints("prompt_ids"), dolly.promptTokens(request)),
                            generated(row, result.generations().get(0)),
                            difference(text, row.text(text), result.text())));
        }
    }

    private static String name(int index) {
        return "line " + (index + 1);
    }

    /** Tokens and finish. Dolly's pipeline goes on after an end key spelt out, where this one stops. */
    private static String generated(GoldenLine row, Generation found) {
        int[] ids = row.ints("generated_ids");
        String finish = row.text("finish");
        if (row.has("end_key_after")) {
            ids = Arrays.copyOf(ids, row.integer("end_key_after"));
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

    private static String stopStrings(Dolly dolly, GoldenLine line) {
        GenerationRequest request =
                request(line, line).stopStrings(line.texts("stop_strings")).build();
        StringBuilder streamed = new StringBuilder();
        Generation found = dolly.generate(request, piece -> streamed.append(piece.text()))
                .generations()
                .get(0);
        String answer = PythonWhitespace.strip(line.text("text_until_stop"));
        return firstDifference(
                difference("generated_ids", line.ints("generated_ids"), found.tokenIds()),
                difference(
                        "finish", FinishReason.STOP.name(), found.finishReason().name()),
                difference("text_until_stop", answer, found.text()),
                difference("text_until_stop, streamed", answer, streamed.toString()));
    }

    private void runTextPart(Part part) {
        if (part.is(POSTPROCESS)) {
            TreeMap<String, Tokenizer> loaded = new TreeMap<>();
            for (int i = 0; i < part.lines.size(); i++) {
                GoldenLine line = part.lines.get(i);
                Path folder = tokenizers.resolve(line.text("tokenizer"));
                if (Files.isDirectory(folder)) {
                    part.report.check(name(i), () -> {
                        Tokenizer tokenizer = loaded.computeIfAbsent(folder.toString(), any -> Tokenizer.load(folder));
                        return postprocess(tokenizer, line);
                    });
                } else {
                    part.report.skip(name(i), "no folder " + folder);
                }
            }
        } else if (!part.is(GENERATE) && !part.is(STOP_STRINGS)) {
            part.report.skip(part.name, "this version does not know what it holds");
        }
    }

    private static String postprocess(Tokenizer tokenizer, GoldenLine line) {
        int[] ids = line.ints("ids");
        Optional<String> found = SequenceAnswer.find(tokenizer, ids);
        return firstDifference(
                difference("text", line.text("text"), tokenizer.decode(ids, false)),
                difference("response_key_found", line.text("response_key_found"), String.valueOf(found.isPresent())),
                difference("answer_first_keys", line.text("answer_first_keys"), found.orElse("")));
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
}
