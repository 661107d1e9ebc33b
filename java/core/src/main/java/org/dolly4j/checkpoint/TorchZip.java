package org.dolly4j.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.StateDictPickle.Storage;

/**
 * Reads what {@code torch.save} writes since PyTorch 1.6: an uncompressed zip file with a folder of any name that holds
 * {@code data.pkl}, the pickled state dict, and one file {@code data/KEY} per storage.
 */
final class TorchZip {
    private static final String PICKLE = "data.pkl";

    private TorchZip() {}

    /**
     * Locates the tensors of a file; no tensor is read and nothing in the file is run.
     *
     * @return tensors by name, in the file's order, unmodifiable
     * @throws CheckpointException if the file is damaged, compressed, of another format, or wants to run code
     */
    static Map<String, TensorLocation> read(CheckpointFile file) {
        ZipDirectory zip = ZipDirectory.read(file);
        String folder = findFolder(file, zip);
        requireLittleEndian(file, zip, folder);
        ZipDirectory.Entry pickle = zip.entry(folder + PICKLE).orElseThrow();
        if (pickle.size() > StateDictPickle.MAX_BYTES) {
            throw file.error(
                    "%s has %,d bytes; at most %,d are accepted.",
                    pickle.name(), pickle.size(), StateDictPickle.MAX_BYTES);
        }
        try (InputStream in = file.stream(pickle.offset(), pickle.size())) {
            return StateDictPickle.read(file, pickle.name(), in)
                    .tensors(storage -> offset(file, zip, folder + "data/" + storage.key(), storage));
        } catch (IOException e) {
            throw new CheckpointException(file.path() + ": can't be read: " + e, e);
        }
    }

    /** The folder inside the archive, with its slash: the one that holds data.pkl. */
    private static String findFolder(CheckpointFile file, ZipDirectory zip) {
        String folder = null;
        for (ZipDirectory.Entry entry : zip.entries()) {
            int slash = entry.name().indexOf('/');
            if (slash > 0 && entry.name().substring(slash + 1).equals(PICKLE)) {
                if (folder != null) {
                    throw file.error("holds two state dicts: '%s%s' and '%s'.", folder, PICKLE, entry.name());
                }
                folder = entry.name().substring(0, slash + 1);
            }
        }
        if (folder == null) {
            throw file.error("has no FOLDER/%s, so it is not a file that torch.save writes.", PICKLE);
        }
        if (zip.entry(folder + "constants.pkl").isPresent()) {
            throw file.error("is a TorchScript program, not a state dict. Save model.state_dict() instead.");
        }
        return folder;
    }

    private static void requireLittleEndian(CheckpointFile file, ZipDirectory zip, String folder) {
        zip.entry(folder + "byteorder").ifPresent(entry -> {
            String order = StandardCharsets.US_ASCII
                    .decode(file.read(entry.offset(), (int) Math.min(entry.size(), 16)))
                    .toString();
            if (!order.equals("little")) {
                throw file.error("has the byte order '%s'; only 'little' is supported.", order);
            }
        });
    }

    private static long offset(CheckpointFile file, ZipDirectory zip, String name, Storage storage) {
        ZipDirectory.Entry entry = zip.entry(name)
                .orElseThrow(() -> file.error("needs the storage '%s', which it does not hold. It is damaged.", name));
        if (entry.size() != storage.bytes()) {
            throw file.error(
                    "storage '%s' should have %,d bytes but has %,d. The file is damaged.",
                    name, storage.bytes(), entry.size());
        }
        return entry.offset();
    }
}
