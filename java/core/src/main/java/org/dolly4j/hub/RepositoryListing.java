package org.dolly4j.hub;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import java.io.IOException;
import java.io.StringReader;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;

/**
 * What a repository holds at a commit.
 *
 * @param commit 40 hexadecimal digits
 * @param files names of those of its files that lie at its top and have a plain name; a model needs no others
 */
record RepositoryListing(String commit, Set<String> files) {
    /** Most bytes of a listing; one of ten thousand files has about a million. */
    static final int MAX_BYTES = 32 << 20;

    private static final int MAX_FILES = 100_000;

    /** Copies the set. */
    RepositoryListing {
        files = Collections.unmodifiableSet(new LinkedHashSet<>(files));
    }

    /**
     * Reads the answer of {@code /api/models/ID/revision/REVISION}: {@code sha} and {@code siblings}.
     *
     * @param source who answered, for messages
     * @throws UnavailableException if it is no such answer
     */
    static RepositoryListing parse(byte[] answer, String source) {
        String commit = "";
        Set<String> files = new LinkedHashSet<>();
        try (JsonReader json = strict(answer)) {
            json.beginObject();
            while (json.hasNext()) {
                switch (json.nextName()) {
                    case "sha" -> commit = json.nextString();
                    case "siblings" -> readSiblings(json, files);
                    default -> json.skipValue();
                }
            }
            json.endObject();
        } catch (IOException | IllegalStateException e) {
            throw new UnavailableException(
                    source + " answered with something else than a list of the model's files. If that is not the"
                            + " Hugging Face hub, correct HF_ENDPOINT.",
                    e);
        }
        if (!HubRepository.isCommit(commit)) {
            throw new UnavailableException(source + " names no commit of 40 hexadecimal digits. If that is not the"
                    + " Hugging Face hub, correct HF_ENDPOINT.");
        }
        return new RepositoryListing(commit, files);
    }

    private static void readSiblings(JsonReader json, Set<String> files) throws IOException {
        json.beginArray();
        while (json.hasNext()) {
            json.beginObject();
            while (json.hasNext()) {
                if (json.nextName().equals("rfilename")) {
                    addPlain(json.nextString(), files);
                } else {
                    json.skipValue();
                }
            }
            json.endObject();
        }
        json.endArray();
    }

    private static void addPlain(String name, Set<String> files) throws IOException {
        if (ModelFiles.isPlainName(name) && files.add(name) && files.size() > MAX_FILES) {
            throw new IOException("more than " + MAX_FILES + " files");
        }
    }

    /**
     * Reads the list that huggingface_hub leaves beside what it has downloaded, {@code trees/COMMIT.json}: the keys of
     * {@code files}.
     *
     * @return empty if there is none, or one of another form
     */
    static Optional<RepositoryListing> ofTree(Path tree, String commit) {
        Set<String> files = new LinkedHashSet<>();
        try {
            if (!Files.isRegularFile(tree) || Files.size(tree) > MAX_BYTES) {
                return Optional.empty();
            }
            try (JsonReader json = strict(Files.readAllBytes(tree))) {
                json.beginObject();
                while (json.hasNext()) {
                    if (json.nextName().equals("files")) {
                        json.beginObject();
                        while (json.hasNext()) {
                            addPlain(json.nextName(), files);
                            json.skipValue();
                        }
                        json.endObject();
                    } else {
                        json.skipValue();
                    }
                }
                json.endObject();
            }
        } catch (ClosedByInterruptException e) {
            throw CachedRepository.unusable(tree, e);
        } catch (IOException | IllegalStateException e) {
            return Optional.empty();
        }
        return files.isEmpty() ? Optional.empty() : Optional.of(new RepositoryListing(commit, files));
    }

    /** Reads strict JSON. */
    static JsonReader strict(byte[] text) {
        JsonReader json = new JsonReader(new StringReader(new String(text, StandardCharsets.UTF_8)));
        json.setStrictness(Strictness.STRICT);
        return json;
    }
}
