package org.dolly4j.hub;

import com.google.gson.stream.JsonReader;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dolly4j.HubException;

/**
 * Which files of a repository a model needs. All lie at its top and have plain names: what a name could do to a path is
 * settled here, before one is made of it.
 */
final class ModelFiles {
    static final String CONFIG = "config.json";
    static final String TOKENIZER = "tokenizer.json";

    /** What older tokenizers have in its place; where both are, these are of no use. */
    private static final List<String> VOCABULARY = List.of("vocab.json", "merges.txt");

    private static final List<String> TOKENIZER_FILES = Stream.concat(
                    Stream.of(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
                    VOCABULARY.stream())
            .toList();

    /** No separators, no drive, not hidden, so neither "." nor "..". */
    private static final Pattern PLAIN_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,250}");

    /** Most bytes of an index; that of a model with a million tensors has fewer. */
    private static final long MAX_INDEX_BYTES = 64 << 20;

    private static final int MAX_SHARDS = 10_000;

    private ModelFiles() {}

    /** How weights are stored, best first. */
    private enum Weights {
        SAFETENSORS("model.safetensors", false),
        SAFETENSORS_SHARDED("model.safetensors.index.json", true),
        BIN("pytorch_model.bin", false),
        BIN_SHARDED("pytorch_model.bin.index.json", true);

        private final String file;
        private final boolean index;

        Weights(String file, boolean index) {
            this.file = file;
            this.index = index;
        }

        static Optional<Weights> of(Set<String> files) {
            return Arrays.stream(values())
                    .filter(weights -> files.contains(weights.file))
                    .findFirst();
        }

        /** Ending of the names of the shards. */
        String ending() {
            return this == SAFETENSORS_SHARDED ? ".safetensors" : ".bin";
        }
    }

    /** What is wanted of a repository. */
    enum Selection {
        /** Configuration, tokenizer and weights. */
        MODEL,
        /** The tokenizer alone. */
        TOKENIZER
    }

    /** Whether a name can be that of a file of a model. */
    static boolean isPlainName(String name) {
        return PLAIN_NAME.matcher(name).matches();
    }

    /**
     * The files needed of those that a repository has, without the shards of an index.
     *
     * @throws HubException if it holds no model
     */
    static List<String> needed(Set<String> files, Selection selection, HubRepository repository) {
        List<String> needed = new ArrayList<>();
        if (selection == Selection.MODEL) {
            require(files.contains(CONFIG), "config.json", files, repository);
            needed.add("generation_config.json");
        } else {
            require(hasTokenizer(files), "tokenizer (tokenizer.json, or vocab.json and merges.txt)", files, repository);
        }
        needed.addAll(TOKENIZER_FILES);
        if (selection == Selection.MODEL) {
            Optional<Weights> weights = Weights.of(files);
            String expected = "weights ("
                    + Arrays.stream(Weights.values()).map(one -> one.file).collect(Collectors.joining(", ")) + ")";
            require(weights.isPresent(), expected, files, repository);
            needed.add(weights.orElseThrow().file);
        }
        needed.add(CONFIG); // the tokenizer's too: it names its class
        needed.retainAll(files);
        if (files.contains(TOKENIZER)) {
            needed.removeAll(VOCABULARY);
        }
        return needed;
    }

    private static void require(boolean holds, String expected, Set<String> files, HubRepository repository) {
        if (!holds) {
            throw new HubException("The model " + repository.id() + " at revision '" + repository.revision()
                    + "' has no "
                    + expected + "; it has "
                    + (files.isEmpty() ? "nothing" : files.stream().limit(20).collect(Collectors.joining(", ")))
                    + ". Choose a repository with a model in the layout of transformers.");
        }
    }

    /** Whether there is a tokenizer among these files. */
    static boolean hasTokenizer(Set<String> files) {
        return files.contains(TOKENIZER) || files.containsAll(VOCABULARY);
    }

    /** Whether there are weights among these files. */
    static boolean hasWeights(Set<String> files) {
        return Weights.of(files).isPresent();
    }

    /** The other ones of these files. */
    static Set<String> withoutWeights(Set<String> files) {
        Set<String> others = new LinkedHashSet<>(files);
        for (Weights weights : Weights.values()) {
            others.remove(weights.file);
        }
        return others;
    }

    /** The file with the weights, or their index, if they are safetensors. */
    static Optional<String> safetensors(Set<String> files) {
        return Weights.of(files)
                .filter(weights -> weights == Weights.SAFETENSORS || weights == Weights.SAFETENSORS_SHARDED)
                .map(weights -> weights.file);
    }

    /** The one of these files that lists the shards, if the weights have some. */
    static Optional<String> index(Set<String> files) {
        return Weights.of(files).filter(weights -> weights.index).map(weights -> weights.file);
    }

    /**
     * The files that an index names.
     *
     * @param file the index, wherever it is
     * @param name its name
     * @throws HubException if it is no index, or names a file that cannot be one of weights
     */
    static Set<String> shards(Path file, String name) {
        Set<String> shards = new LinkedHashSet<>();
        try {
            if (Files.size(file) > MAX_INDEX_BYTES) {
                throw new IOException("it has more than " + MAX_INDEX_BYTES + " bytes");
            }
            try (JsonReader json = RepositoryListing.strict(Files.readAllBytes(file))) {
                json.beginObject();
                while (json.hasNext()) {
                    if (json.nextName().equals("weight_map")) {
                        readWeightMap(
                                json, Weights.of(Set.of(name)).orElseThrow().ending(), shards);
                    } else {
                        json.skipValue();
                    }
                }
                json.endObject();
            }
            if (shards.isEmpty()) {
                throw new IOException("it names no file");
            }
        } catch (ClosedByInterruptException e) {
            throw CachedRepository.unusable(file, e);
        } catch (IOException | IllegalStateException e) {
            throw new HubException(
                    file + ": the index of the weights can't be used: "
                            + Refusals.printable(String.valueOf(e.getMessage())
                                    .lines()
                                    .findFirst()
                                    .orElse(""))
                            + ". Choose another revision, or tell the owner of the repository.",
                    e);
        }
        return shards;
    }

    private static void readWeightMap(JsonReader json, String ending, Set<String> shards) throws IOException {
        json.beginObject();
        while (json.hasNext()) {
            String tensor = json.nextName();
            String shard = json.nextString();
            if (!isPlainName(shard) || !shard.endsWith(ending)) {
                throw new IOException("tensor '" + tensor + "' is said to be in '" + shard
                        + "', which is no plain name of a " + ending + " file");
            }
            if (shards.add(shard) && shards.size() > MAX_SHARDS) {
                throw new IOException("it names more than " + MAX_SHARDS + " files");
            }
        }
        json.endObject();
    }
}
