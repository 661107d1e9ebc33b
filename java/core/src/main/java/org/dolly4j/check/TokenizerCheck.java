package org.dolly4j.check;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntPredicate;
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
        for (Path file : Goldens.files(goldens)) {
            String name = file.getFileName().toString();
            if (name.endsWith(".jsonl") || name.equals(UNICODE_TABLES)) {
                reports.add(check.file(file, name));
            }
        }
        reports.add(check.plainForm());
        return reports;
    }

    /** Checks one line of a file; returns what differs, or nothing. */
    private interface LineCheck {
        String difference(Tokenizer tokenizer, GoldenLine line);
    }

    private CheckReport file(Path file, String name) {
        String part = name.substring(0, name.lastIndexOf('.'));
        CheckReport report = new CheckReport("tokenizer/" + part);
        if (name.equals(UNICODE_TABLES)) {
            Goldens.lines(file).forEach(tables -> unicodeTables(tables, report));
            return report;
        }
        String form = part.endsWith("_newline") ? NEWLINE : part.endsWith("_plain") ? PLAIN : PUBLISHED;
        LineCheck lineCheck = part.startsWith("encode_")
                ? TokenizerCheck::encode
                : part.startsWith("decode")
                        ? TokenizerCheck::decode
                        : part.equals("stream") ? TokenizerCheck::stream : null;
        Tokenizer tokenizer = tokenizer(form);
        if (lineCheck == null) {
            report.skip(name, "this version does not know what it holds");
        } else if (tokenizer == null) {
            report.skip(name, "no folder " + tokenizers.resolve(form));
        } else {
            List<GoldenLine> lines = Goldens.lines(file);
            for (int i = 0; i < lines.size(); i++) {
                GoldenLine line = lines.get(i);
                report.check("line " + (i + 1), () -> lineCheck.difference(tokenizer, line));
            }
        }
        return report;
    }

    private Tokenizer tokenizer(String form) {
        Path folder = tokenizers.resolve(form);
        return Files.isDirectory(folder) ? loaded.computeIfAbsent(form, f -> Tokenizer.load(folder)) : null;
    }

    private static String encode(Tokenizer tokenizer, GoldenLine line) {
        String text = line.text("text");
        String why = difference(line.ints("ids"), tokenizer.encode(text));
        return why.isEmpty() && line.has("ids_split_special")
                ? difference(line.ints("ids_split_special"), tokenizer.encodeAsText(text))
                : why;
    }

    private static String decode(Tokenizer tokenizer, GoldenLine line) {
        int[] ids = line.ints("ids");
        String why = difference(line.text("text"), tokenizer.decode(ids, false));
        return why.isEmpty() ? difference(line.text("text_skip_special"), tokenizer.decode(ids, true)) : why;
    }

    private static String stream(Tokenizer tokenizer, GoldenLine line) {
        String text = line.text("text");
        int[] ids = line.ints("ids");
        int[] mayShow = line.ints("shown_utf16");
        StreamDecoder decoder = tokenizer.newStreamDecoder(line.flag("skip_special"));
        StringBuilder shown = new StringBuilder();
        for (int i = 0; i < ids.length; i++) {
            shown.append(decoder.append(ids[i]));
            if (shown.length() > mayShow[i]) {
                return "after token " + i + " " + shown.length() + " chars were shown, " + mayShow[i] + " are certain";
            }
            if (!text.startsWith(shown.toString())) {
                return "after token " + i + ": " + difference(text, shown.toString());
            }
        }
        shown.append(decoder.finish());
        return difference(text, shown.toString());
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
                List<GoldenLine> lines = Goldens.lines(file);
                for (int i = 0; i < lines.size(); i++) {
                    plainForm(part + " line " + (i + 1), tokenizer, lines.get(i), report);
                }
            }
        }
        return report;
    }

    private static void plainForm(String name, Tokenizer tokenizer, GoldenLine line, CheckReport report) {
        if (line.has("text") && line.text("text").contains("<|")) {
            return; // the special tokens that the plain form has, too
        }
        String field = line.has("ids_split_special") ? "ids_split_special" : "ids";
        report.check(name, () -> difference(line.ints(field), tokenizer.encode(line.text("text"))));
    }

    private static void unicodeTables(GoldenLine tables, CheckReport report) {
        report.check("letter", () -> classDifference(UnicodeData::isLetter, tables.integerLists("letter")));
        report.check("number", () -> classDifference(UnicodeData::isNumber, tables.integerLists("number")));
        report.check("space", () -> classDifference(UnicodeData::isSpace, tables.integerLists("space")));
        GoldenLine normalForms = tables.object("nfc_single");
        for (String codePoint : normalForms.fields()) {
            report.check("NFC of U+" + codePoint, () -> {
                String text = Character.toString(Integer.parseInt(codePoint, 16));
                return difference(normalForms.text(codePoint), UnicodeData.nfc(text));
            });
        }
    }

    /** @param ranges first and last code point of each range that is in the class */
    private static String classDifference(IntPredicate isInClass, List<List<Integer>> ranges) {
        boolean[] expected = new boolean[Character.MAX_CODE_POINT + 1];
        for (List<Integer> range : ranges) {
            Arrays.fill(expected, range.get(0), range.get(1) + 1, true);
        }
        for (int c = 0; c < expected.length; c++) {
            if (isInClass.test(c) != expected[c]) {
                return "U+%04X should%s be one".formatted(c, expected[c] ? "" : " not");
            }
        }
        return "";
    }

    private static String difference(int[] expected, int[] found) {
        int at = Arrays.mismatch(expected, found);
        if (at < 0) {
            return "";
        }
        return "ids differ from index " + at + ": expected " + from(at, expected) + ", found " + from(at, found);
    }

    private static String from(int at, int[] ids) {
        return Arrays.toString(Arrays.copyOfRange(ids, Math.min(at, ids.length), Math.min(at + 8, ids.length)));
    }

    private static String difference(String expected, String found) {
        return expected.equals(found) ? "" : "expected '" + cut(expected) + "', found '" + cut(found) + "'";
    }

    private static String cut(String text) {
        return text.length() <= FAILURE_TEXT ? text : text.substring(0, FAILURE_TEXT) + "...";
    }
}
