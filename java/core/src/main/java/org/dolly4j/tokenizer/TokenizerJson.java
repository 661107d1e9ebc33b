package org.dolly4j.tokenizer;

import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dolly4j.CheckpointException;

/** Reads tokenizer.json: a byte-level BPE model and the tokens added to it. */
final class TokenizerJson {
    private TokenizerJson() {}

    /**
     * Reads and checks the file.
     *
     * @param stated the steps around the model, if they are not those of the file; then the file's model is taken
     *     without its options
     */
    static BpeModel read(Path path, Optional<TokenizerPipeline> stated) {
        return JsonFile.read(path, file -> new Reader(path, stated).read(file));
    }

    private static final class Reader {
        private static final String VERSION = "1.0";

        private final Path path;
        private final Optional<TokenizerPipeline> stated;
        private final TokenizerPipeline.Reader pipeline;
        private final List<AddedToken> addedTokens = new ArrayList<>();
        private final BpeModel.Builder model;
        private boolean hasModel;
        private boolean hasMerges;
        private boolean ignoreMerges;
        private String unknownToken;
        private boolean byteFallback;

        Reader(Path path, Optional<TokenizerPipeline> stated) {
            this.path = path;
            this.stated = stated;
            this.pipeline = new TokenizerPipeline.Reader(path);
            this.model = new BpeModel.Builder(path + ": model.vocab", path + ": model.merges");
        }

        BpeModel read(JsonFile file) throws IOException {
            file.object(key -> {
                switch (key) {
                    case "version" -> readVersion(file);
                    // transformers sets both anew for each call, to none unless the caller asks
                    case "truncation", "padding" -> file.skip();
                    case "added_tokens" -> readAddedTokens(file);
                    case "post_processor" -> pipeline.postProcessor(file.tree());
                    case "normalizer", "pre_tokenizer", "decoder" -> readStep(key, file);
                    case "model" -> readModel(file);
                    default -> refuseUnlessOff(file);
                }
            });
            if (!hasModel || !hasMerges || model.vocab().isEmpty()) {
                throw new CheckpointException(path + ": a model with vocab and merges is missing. "
                        + "Expected the tokenizer.json of a byte-level BPE tokenizer, such as Dolly's.");
            }
            if (stated.isPresent()) {
                return model.build(false, stated.get(), addedTokens);
            }
            checkUnknowns();
            return model.build(ignoreMerges, pipeline.finish(), addedTokens);
        }

        private void readStep(String component, JsonFile file) throws IOException {
            if (stated.isPresent()) {
                file.skip();
                return;
            }
            switch (component) {
                case "normalizer" -> pipeline.normalizer(file.tree());
                case "pre_tokenizer" -> pipeline.preTokenizer(file.tree());
                default -> pipeline.decoder(file.tree());
            }
        }

        private static void readVersion(JsonFile file) throws IOException {
            String version = file.string();
            if (!version.equals(VERSION)) {
                throw file.error("is '" + version + "'; supported is '" + VERSION + "'");
            }
        }

        private static void refuseUnlessOff(JsonFile file) throws IOException {
            boolean off = file.peek() == JsonToken.NULL || file.peek() == JsonToken.BOOLEAN;
            if (!off || isOn(file)) {
                throw file.error("is not known to this version of dolly4j, so what it asks for cannot be done");
            }
        }

        /** Reads true, false or null, which is false. */
        private static boolean isOn(JsonFile file) throws IOException {
            if (file.peek() == JsonToken.NULL) {
                file.skip();
                return false;
            }
            return file.bool();
        }

        private void readAddedTokens(JsonFile file) throws IOException {
            file.beginArray();
            while (file.hasNext()) {
                AddedTokenFields fields = new AddedTokenFields();
                file.object(key -> {
                    switch (key) {
                        case "id" -> fields.id = file.index(BpeModel.MAX_ID);
                        case "content" -> fields.content = file.string();
                        case "special" -> fields.special = file.bool();
                        case "single_word" -> fields.singleWord = file.bool();
                        case "lstrip" -> fields.lstrip = file.bool();
                        case "rstrip" -> fields.rstrip = file.bool();
                        case "normalized" -> fields.normalized = file.bool();
                        default -> refuseUnlessOff(file);
                    }
                });
                if (fields.id < 0 || fields.content == null) {
                    throw new CheckpointException(
                            path + ": an element of added_tokens has no id or no content (element " + addedTokens.size()
                                    + " from 0)");
                }
                addedTokens.add(fields.toToken());
            }
            file.endArray();
        }

        private void readModel(JsonFile file) throws IOException {
            hasModel = true;
            file.object(key -> {
                switch (key) {
                    case "type" -> {
                        String type = file.string();
                        if (!type.equals("BPE")) {
                            throw file.error("is '" + type + "'; supported is 'BPE' (byte-level, as Dolly's)");
                        }
                    }
                    case "vocab" -> model.readVocab(file);
                    case "merges" -> readMerges(file);
                    default -> readOption(key, file);
                }
            });
        }

        private void readOption(String option, JsonFile file) throws IOException {
            if (stated.isPresent()) {
                file.skip();
                return;
            }
            switch (option) {
                case "dropout" -> {
                    if (file.peek() == JsonToken.NUMBER) {
                        if (file.tree().getAsDouble() != 0) {
                            throw file.error("is on: it makes encoding random, which is not supported");
                        }
                    } else {
                        refuseUnlessOff(file);
                    }
                }
                case "unk_token" -> unknownToken = stringOrNull(file);
                case "byte_fallback" -> byteFallback = isOn(file);
                case "fuse_unk" -> isOn(file); // nothing is unknown to a byte-level model: see checkUnknowns
                case "ignore_merges" -> ignoreMerges = isOn(file);
                case "continuing_subword_prefix", "end_of_word_suffix" -> {
                    String affix = stringOrNull(file);
                    if (affix != null && !affix.isEmpty()) {
                        throw file.error("is '" + affix + "'; supported is none (byte-level, as Dolly's)");
                    }
                }
                default -> refuseUnlessOff(file);
            }
        }

        private static String stringOrNull(JsonFile file) throws IOException {
            if (file.peek() == JsonToken.NULL) {
                file.skip();
                return null;
            }
            return file.string();
        }

        private void readMerges(JsonFile file) throws IOException {
            hasMerges = true;
            file.beginArray();
            while (file.hasNext()) {
                if (file.peek() == JsonToken.STRING) {
                    model.addMerge(file.string());
                } else {
                    file.beginArray();
                    model.addMerge(file.string(), file.string());
                    file.endArray();
                }
            }
            file.endArray();
        }

        /** With all 256 bytes in the vocabulary no text is unknown; without, only Hugging Face's default is done. */
        private void checkUnknowns() {
            for (int b = 0; b < 256; b++) {
                if (!model.vocab().containsKey(String.valueOf(ByteLevel.charOf(b)))
                        && (unknownToken != null || byteFallback)) {
                    throw new CheckpointException(
                            "%s: model.%s is set, and the vocabulary lacks byte 0x%02X (spelt '%s'). Supported are %s"
                                    .formatted(
                                            path,
                                            unknownToken != null ? "unk_token" : "byte_fallback",
                                            b,
                                            ByteLevel.charOf(b),
                                            "vocabularies of all 256 bytes, such as Dolly's."));
                }
            }
        }
    }

    /** The fields of an added token as they are read, with Hugging Face's defaults. */
    private static final class AddedTokenFields {
        private int id = -1;
        private String content;
        private boolean special;
        private boolean singleWord;
        private boolean lstrip;
        private boolean rstrip;
        private boolean normalized = true;

        AddedToken toToken() {
            return new AddedToken(id, content, special, singleWord, lstrip, rstrip, normalized);
        }
    }
}
