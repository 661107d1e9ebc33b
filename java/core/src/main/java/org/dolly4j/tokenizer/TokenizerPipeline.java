package org.dolly4j.tokenizer;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.dolly4j.CheckpointException;

/**
 * The steps around the model that tokenizer.json asks for, as far as they can be done: everything else is refused.
 *
 * @param nfc whether text is normalised to form C
 * @param addPrefixSpace whether a piece of text that does not begin with a space gets one
 * @param splitsWords whether GPT-2's pattern cuts pieces into words
 */
record TokenizerPipeline(boolean nfc, boolean addPrefixSpace, boolean splitsWords) {

    /** Takes the components one by one, in any order. */
    static final class Reader {
        private final Path path;
        private boolean nfc;
        private JsonObject byteLevel;
        private boolean decodesBytes;

        Reader(Path path) {
            this.path = path;
        }

        void normalizer(JsonElement json) {
            for (JsonObject step : steps("normalizer", "normalizers", json)) {
                if (!type("normalizer", step).equals("NFC")) {
                    throw refused("normalizer", step, "NFC");
                }
                checkFields("normalizer", step, Set.of());
                nfc = true;
            }
        }

        void preTokenizer(JsonElement json) {
            for (JsonObject step : steps("pre_tokenizer", "pretokenizers", json)) {
                if (!type("pre_tokenizer", step).equals("ByteLevel") || byteLevel != null) {
                    throw refused("pre_tokenizer", step, "one ByteLevel");
                }
                checkFields("pre_tokenizer", step, Set.of("add_prefix_space", "trim_offsets", "use_regex"));
                byteLevel = step;
            }
        }

        void postProcessor(JsonElement json) {
            for (JsonObject step : steps("post_processor", "processors", json)) {
                switch (type("post_processor", step)) {
                    case "ByteLevel" -> {
                        // trims offsets, changes no ids
                    }
                    case "TemplateProcessing" -> checkTemplate(step);
                    default -> throw refused("post_processor", step, "ByteLevel");
                }
            }
        }

        void decoder(JsonElement json) {
            for (JsonObject step : steps("decoder", "decoders", json)) {
                if (!type("decoder", step).equals("ByteLevel") || decodesBytes) {
                    throw refused("decoder", step, "one ByteLevel");
                }
                decodesBytes = true;
            }
        }

        TokenizerPipeline finish() {
            if (byteLevel == null || !decodesBytes) {
                throw new CheckpointException("%s: %s of type ByteLevel is missing; supported are byte-level tokenizers"
                        .formatted(path, byteLevel == null ? "a pre_tokenizer" : "a decoder"));
            }
            boolean splitsWords = !byteLevel.has("use_regex") || flag("use_regex");
            return new TokenizerPipeline(nfc, flag("add_prefix_space"), splitsWords);
        }

        private boolean flag(String field) {
            JsonElement value = byteLevel.get(field);
            if (value == null
                    || !value.isJsonPrimitive()
                    || !value.getAsJsonPrimitive().isBoolean()) {
                throw new CheckpointException("%s: pre_tokenizer.%s should be true or false but is %s"
                        .formatted(path, field, value == null ? "missing" : value));
            }
            return value.getAsBoolean();
        }

        /** A template may hold the text alone; one with special tokens would put them around every text. */
        private void checkTemplate(JsonObject template) {
            JsonElement single = template.get("single");
            if (single == null || !single.isJsonArray()) {
                throw new CheckpointException(path + ": post_processor.single should be an array");
            }
            for (JsonElement piece : single.getAsJsonArray()) {
                if (!piece.isJsonObject() || !piece.getAsJsonObject().has("Sequence")) {
                    throw new CheckpointException(path + ": post_processor of type TemplateProcessing adds " + piece
                            + " to every text, which is not supported. Dolly's tokenizer adds nothing.");
                }
            }
            if (single.getAsJsonArray().size() != 1) {
                throw new CheckpointException(path + ": post_processor.single should hold the text once");
            }
        }

        /** The steps of a component: none for null, those of a Sequence, else the one. */
        private List<JsonObject> steps(String component, String sequenceField, JsonElement json) {
            List<JsonObject> steps = new ArrayList<>();
            if (json.isJsonNull()) {
                return steps;
            }
            if (!json.isJsonObject()) {
                throw new CheckpointException(path + ": " + component + " should be an object or null but is " + json);
            }
            JsonObject step = json.getAsJsonObject();
            if (!type(component, step).equals("Sequence")) {
                steps.add(step);
                return steps;
            }
            JsonElement parts = step.get(sequenceField);
            if (parts == null || !parts.isJsonArray()) {
                throw new CheckpointException(path + ": " + component + "." + sequenceField + " should be an array");
            }
            for (JsonElement part : parts.getAsJsonArray()) {
                steps.addAll(steps(component, sequenceField, part));
            }
            return steps;
        }

        private String type(String component, JsonObject step) {
            JsonElement type = step.get("type");
            if (type == null
                    || !type.isJsonPrimitive()
                    || !type.getAsJsonPrimitive().isString()) {
                throw new CheckpointException(path + ": " + component + ".type should be a string but is "
                        + (type == null ? "missing" : type));
            }
            return type.getAsString();
        }

        private void checkFields(String component, JsonObject step, Set<String> known) {
            for (Map.Entry<String, JsonElement> field : step.entrySet()) {
                boolean off = field.getValue().isJsonNull()
                        || field.getValue().toString().equals("false");
                if (!field.getKey().equals("type") && !known.contains(field.getKey()) && !off) {
                    throw new CheckpointException(
                            "%s: %s.%s is not known to this version of dolly4j, so what it asks for cannot be done"
                                    .formatted(path, component, field.getKey()));
                }
            }
        }

        private CheckpointException refused(String component, JsonObject step, String supported) {
            return new CheckpointException("%s: %s of type '%s' is not supported; Dolly's tokenizers have %s"
                    .formatted(path, component, type(component, step), supported));
        }
    }
}
