package org.dolly4j.tokenizer;

import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;

/**
 * What tokenizer.json says, checked: a byte-level BPE model and the tokens added to it.
 *
 * @param vocab id of each token of the model, in byte-level spelling
 * @param merges the merges, best first, each as ids {left, right, result}
 * @param ignoreMerges whether a word that is a token as a whole is taken as that token, whatever the merges say
 * @param pipeline the steps around the model
 * @param addedTokens the added tokens with the ids stated, in the order of the file
 */
record TokenizerJson(
        Map<String, Integer> vocab,
        List<int[]> merges,
        boolean ignoreMerges,
        TokenizerPipeline pipeline,
        List<AddedToken> addedTokens) {

    /** Ids beyond are taken for damage: no vocabulary comes near, and tables are as long as the largest id. */
    static final int MAX_ID = (1 << 20) - 1;

    /** A merge makes a token, so there are hardly more merges than ids. */
    private static final int MAX_MERGES = MAX_ID + 1;

    /** Reads and checks the file. */
    static TokenizerJson read(Path path) {
        return JsonFile.read(path, file -> new Reader(path).read(file));
    }

    private static final class Reader {
        private static final String VERSION = "1.0";

        private final Path path;
        private final TokenizerPipeline.Reader pipeline;
        private final List<AddedToken> addedTokens = new ArrayList<>();
        private final Map<String, Integer> vocab = new HashMap<>();
        private final List<String[]> mergedPairs = new ArrayList<>();
        private boolean hasModel;
        private boolean hasMerges;
        private boolean ignoreMerges;
        private String unknownToken;
        private boolean byteFallback;

        Reader(Path path) {
            this.path = path;
            this.pipeline = new TokenizerPipeline.Reader(path);
        }

        TokenizerJson read(JsonFile file) throws IOException {
            file.object(key -> {
                switch (key) {
                    case "version" -> readVersion(file);
                    // transformers sets both anew for each call, to none unless the caller asks
                    case "truncation", "padding" -> file.skip();
                    case "added_tokens" -> readAddedTokens(file);
                    case "normalizer" -> pipeline.normalizer(file.tree());
                    case "pre_tokenizer" -> pipeline.preTokenizer(file.tree());
                    case "post_processor" -> pipeline.postProcessor(file.tree());
                    case "decoder" -> pipeline.decoder(file.tree());
                    case "model" -> readModel(file);
                    default -> refuseUnlessOff(file);
                }
            });
            if (!hasModel || !hasMerges || vocab.isEmpty()) {
                throw new CheckpointException(path + ": a model with vocab and merges is missing. "
                        + "Expected the tokenizer.json of a byte-level BPE tokenizer, such as Dolly's.");
            }
            checkUnknowns();
            return new TokenizerJson(vocab, resolveMerges(), ignoreMerges, pipeline.finish(), addedTokens);
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
                        case "id" -> fields.id = file.index(MAX_ID);
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
                    case "vocab" -> readVocab(file);
                    case "merges" -> readMerges(file);
                    default -> refuseUnlessOff(file);
                }
            });
        }

        private static String stringOrNull(JsonFile file) throws IOException {
            if (file.peek() == JsonToken.NULL) {
                file.skip();
                return null;
            }
            return file.string();
        }

        private void readVocab(JsonFile file) throws IOException {
            BitSet taken = new BitSet();
            file.map(token -> {
                int id = file.index(MAX_ID);
                if (JsonFile.hasUnpairedSurrogate(token)) {
                    throw file.error("has half a surrogate pair, which is no character");
                }
                if (vocab.put(token, id) != null) {
                    throw new CheckpointException(
                            path + ": model.vocab has '" + token + "' twice. The file is damaged.");
                }
                if (taken.get(id)) {
                    throw new CheckpointException(path + ": model.vocab gives id " + id + " to '" + token
                            + "' and to a token before it. The file is damaged.");
                }
                taken.set(id);
            });
        }

        private void readMerges(JsonFile file) throws IOException {
            hasMerges = true;
            file.beginArray();
            while (file.hasNext()) {
                if (mergedPairs.size() == MAX_MERGES) {
                    throw file.error("is one more than the " + MAX_MERGES + " merges that a file may have");
                }
                if (file.peek() == JsonToken.STRING) {
                    String merge = file.string();
                    int space = merge.indexOf(' ');
                    if (merge.startsWith("#version")) {
                        continue; // first line of a merges.txt that was taken over
                    }
                    if (space < 0 || merge.indexOf(' ', space + 1) >= 0) {
                        throw badMerge("'" + merge + "'");
                    }
                    mergedPairs.add(new String[] {merge.substring(0, space), merge.substring(space + 1)});
                } else {
                    file.beginArray();
                    mergedPairs.add(new String[] {file.string(), file.string()});
                    file.endArray();
                }
            }
            file.endArray();
        }

        /** With all 256 bytes in the vocabulary no text is unknown; without, only Hugging Face's default is done. */
        private void checkUnknowns() {
            for (int b = 0; b < 256; b++) {
                if (!vocab.containsKey(String.valueOf(ByteLevel.charOf(b))) && (unknownToken != null || byteFallback)) {
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

        private List<int[]> resolveMerges() {
            List<int[]> merges = new ArrayList<>(mergedPairs.size());
            for (String[] pair : mergedPairs) {
                Integer left = vocab.get(pair[0]);
                Integer right = vocab.get(pair[1]);
                Integer result = vocab.get(pair[0] + pair[1]);
                if (left == null || right == null || result == null) {
                    throw badMerge("'" + pair[0] + "' + '" + pair[1] + "'");
                }
                merges.add(new int[] {left, right, result});
            }
            return merges;
        }

        private CheckpointException badMerge(String merge) {
            return new CheckpointException(path + ": model.merges holds " + merge
                    + ", but a merge has two parts that stand in model.vocab, as does what they join to. "
                    + "The file is damaged: fetch it again.");
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
