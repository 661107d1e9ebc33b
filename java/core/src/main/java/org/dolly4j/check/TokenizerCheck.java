package org.dolly4j.check;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;
import org.dolly4j.tokenizer.StreamDecoder;
import org.dolly4j.tokenizer.Tokenizer;
import org.dolly4j.tokenizer.UnicodeData;

/** Checks the tokenizer against its part of a goldens folder. */
public final class TokenizerCheck {
    private static final String PUBLISHED = "dolly-tokenizer";
    private static final String NEWLINE = "dolly-tokenizer-newline";
    private static final String PLAIN = "gpt-neox-20b";

    private static final String UNICODE_TABLES = "unicode_tables.json";
    private static final int FAILURE_TEXT = 120;

    private final Path goldens;
    private final Path tokenizers;
    private final Map<String, Tokenizer> loaded = new TreeMap<>();

    private TokenizerCheck(Path goldens, Path tokenizers) {
        this.goldens = goldens;
        this.tokenizers = tokenizers;
    }

    /**
     * Runs every file of the folder; a file of an unknown kind, or without its tokenizer, is skipped by name.
     *
     * @param goldens the goldens of the tokenizer: the folder of that name in a goldens folder
     * @param tokenizers the folder that holds the tokenizer folders which the goldens name
     * @return one report per file, in order of the names, and one for the plain form
     * @throws CheckpointException if a file of the goldens cannot be read
     */
    public static List<CheckReport> run(Path goldens, Path tokenizers) {
        TokenizerCheck check = new TokenizerCheck(goldens, tokenizers);
        List<CheckReport> reports = new ArrayList<>();
        try (Stream<Path> files = Files.list(goldens)) {
            for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
                String name = file.getFileName().toString();
                if (name.endsWith(".jsonl") || name.equals(UNICODE_TABLES)) {
                    reports.add(check.file(file, name));
                }
            }
        } catch (IOException e) {
            throw new CheckpointException(goldens + ": cannot be listed (" + e + ")", e);
        }
        reports.add(check.plainForm());
        return reports;
    }

    /** What is done with one line of a file. */
    private interface LineCheck {
        void run(Tokenizer tokenizer, JsonObject line, String name, CheckReport report);
    }

    private CheckReport file(Path file, String name) {
        String part = name.substring(0, name.lastIndexOf('.'));
        CheckReport report = new CheckReport("tokenizer/" + part);
        if (name.equals(UNICODE_TABLES)) {
            unicodeTables(Goldens.lines(file).get(0), report);
            return report;
        }
        String form = part.endsWith("_newline") ? NEWLINE : part.endsWith("_plain") ? PLAIN : PUBLISHED;
        LineCheck lineCheck = part.startsWith("encode_")
                ? TokenizerCheck::encode
                : part.startsWith("decode") ? TokenizerCheck::decode : part.equals("stream") ? this::stream : null;
        Tokenizer tokenizer = tokenizer(form);
        if (lineCheck == null) {
            report.skip(name, "this version does not know what it holds");
        } else if (tokenizer == null) {
            report.skip(name, "no folder " + tokenizers.resolve(form));
        } else {
            List<JsonObject> lines = Goldens.lines(file);
            for (int i = 0; i < lines.size(); i++) {
                lineCheck.run(tokenizer, lines.get(i), "line " + (i + 1), report);
            }
        }
        return report;
    }

    private Tokenizer tokenizer(String form) {
        Path folder = tokenizers.resolve(form);
        return Files.isDirectory(folder) ? loaded.computeIfAbsent(form, f -> Tokenizer.load(folder)) : null;
    }

    private static void encode(Tokenizer tokenizer, JsonObject line, String name, CheckReport report) {
        String text = Goldens.text(line, "text");
        String why = difference(Goldens.ints(line, "ids"), tokenizer.encode(text));
        if (why == null && line.has("ids_split_special")) {
            why = difference(Goldens.ints(line, "ids_split_special"), tokenizer.encodeAsText(text));
        }
        count(report, name, why);
    }

    private static void decode(Tokenizer tokenizer, JsonObject line, String name, CheckReport report) {
        int[] ids = Goldens.ints(line, "ids");
        String why = difference(Goldens.text(line, "text"), tokenizer.decode(ids, false));
        if (why == null) {
            why = difference(Goldens.text(line, "text_skip_special"), tokenizer.decode(ids, true));
        }
        count(report, name, why);
    }

    private void stream(Tokenizer tokenizer, JsonObject line, String name, CheckReport report) {
        String text = Goldens.text(line, "text");
        int[] ids = Goldens.ints(line, "ids");
        int[] mayShow = Goldens.ints(line, "shown_utf16");
        StreamDecoder decoder =
                tokenizer.newStreamDecoder(line.get("skip_special").getAsBoolean());
        StringBuilder shown = new StringBuilder();
        String why = null;
        for (int i = 0; i < ids.length && why == null; i++) {
            shown.append(decoder.append(ids[i]));
            if (shown.length() > mayShow[i]) {
                why = "after token " + i + " " + shown.length() + " chars were shown, " + mayShow[i] + " are certain";
            } else if (!text.startsWith(shown.toString())) {
                why = "after token " + i + ": " + difference(text, shown.toString());
            }
        }
        shown.append(decoder.finish());
        count(report, name, why != null ? why : difference(text, shown.toString()));
    }

    /** The plain form has no file of its own, but takes keys as the others do when they split special tokens. */
    private CheckReport plainForm() {
        CheckReport report = new CheckReport("tokenizer/plain form");
        Tokenizer tokenizer = tokenizer(PLAIN);
        for (String part : List.of("encode_adversarial", "encode_fuzz")) {
            Path file = goldens.resolve(part + ".jsonl");
            if (tokenizer == null) {
                report.skip(part, "no folder " + tokenizers.resolve(PLAIN));
            } else if (Files.exists(file)) {
                List<JsonObject> lines = Goldens.lines(file);
                for (int i = 0; i < lines.size(); i++) {
                    JsonObject line = lines.get(i);
                    String text = Goldens.text(line, "text");
                    if (!text.contains("<|")) { // the special tokens that the plain form has, too
                        String field = line.has("ids_split_special") ? "ids_split_special" : "ids";
                        String why = difference(Goldens.ints(line, field), tokenizer.encode(text));
                        count(report, part + " line " + (i + 1), why);
                    }
                }
            }
        }
        return report;
    }

    private static void unicodeTables(JsonObject tables, CheckReport report) {
        checkClass("letter", UnicodeData::isLetter, tables, report);
        checkClass("number", UnicodeData::isNumber, tables, report);
        checkClass("space", UnicodeData::isSpace, tables, report);
        for (Map.Entry<String, JsonElement> entry :
                tables.getAsJsonObject("nfc_single").entrySet()) {
            String text = Character.toString(Integer.parseInt(entry.getKey(), 16));
            String why = difference(entry.getValue().getAsString(), UnicodeData.nfc(text));
            count(report, "NFC of U+" + entry.getKey(), why);
        }
    }

    private static void checkClass(String name, IntPredicate isInClass, JsonObject tables, CheckReport report) {
        boolean[] expected = new boolean[Character.MAX_CODE_POINT + 1];
        for (JsonElement element : tables.getAsJsonArray(name)) {
            JsonArray range = element.getAsJsonArray();
            Arrays.fill(expected, range.get(0).getAsInt(), range.get(1).getAsInt() + 1, true);
        }
        String why = null;
        for (int c = 0; c < expected.length && why == null; c++) {
            if (isInClass.test(c) != expected[c]) {
                why = "U+%04X should%s be one".formatted(c, expected[c] ? "" : " not");
            }
        }
        count(report, name, why);
    }

    private static void count(CheckReport report, String name, String why) {
        if (why == null) {
            report.pass();
        } else {
            report.fail(name, why);
        }
    }

    private static String difference(int[] expected, int[] found) {
        int at = Arrays.mismatch(expected, found);
        if (at < 0) {
            return null;
        }
        return "ids differ from index " + at + ": expected " + from(at, expected) + ", found " + from(at, found);
    }

    private static String from(int at, int[] ids) {
        return Arrays.toString(Arrays.copyOfRange(ids, Math.min(at, ids.length), Math.min(at + 8, ids.length)));
    }

    private static String difference(String expected, String found) {
        return expected.equals(found) ? null : "expected '" + cut(expected) + "', found '" + cut(found) + "'";
    }

    private static String cut(String text) {
        return text.length() <= FAILURE_TEXT ? text : text.substring(0, FAILURE_TEXT) + "...";
    }
}
