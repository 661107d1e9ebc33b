package org.dolly4j.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.dolly4j.CheckpointException;
import org.dolly4j.checkpoint.StateDictPickle.Storage;

/**
 * Reads a {@code pytorch_model.bin} as {@code torch.save} writes it since PyTorch 1.6: an uncompressed zip file with a
 * folder of any name that holds {@code data.pkl}, the pickled state dict, and one file {@code data/KEY} per storage.
 */
final class TorchZip {
    private static final byte[] ZIP_MAGIC = {'P', 'K', 3, 4};

    /** PROTO 2 and the magic number 0x1950a86a20f9469cfc6c as a pickled integer: the format before PyTorch 1.6. */
    private static final byte[] LEGACY_MAGIC = {
        (byte) 0x80,
        2,
        (byte) 0x8a,
        10,
        0x6c,
        (byte) 0xfc,
        (byte) 0x9c,
        0x46,
        (byte) 0xf9,
        0x20,
        0x6a,
        (byte) 0xa8,
        0x50,
        0x19
    };

    /** Longest pickle accepted, that of some hundred thousand tensors. */
    private static final long MAX_PICKLE_BYTES = 32L << 20;

    private static final String PICKLE = "data.pkl";

    private TorchZip() {}

    /**
     * Locates the tensors of a file; no tensor is read and nothing in the file is run.
     *
     * @return tensors by name, in the file's order, unmodifiable
     * @throws CheckpointException if the file is damaged, compressed, of another format, or wants to run code
     */
    static Map<String, TensorLocation> read(Path path) {
        try (CheckpointFile file = CheckpointFile.open(path)) {
            if (file.startsWith(LEGACY_MAGIC)) {
                throw file.error("is in the format of PyTorch before 1.6, which is not supported yet. Load it with "
                        + "PyTorch and save it again, or get the model as safetensors.");
            }
            if (!file.startsWith(ZIP_MAGIC)) {
                throw file.error("is not a file that torch.save writes: it does not begin as a zip file. "
                        + "Delete the file and load again.");
            }
            ZipDirectory zip = ZipDirectory.read(file);
            String folder = findFolder(file, zip);
            requireLittleEndian(file, zip, folder);
            ZipDirectory.Entry pickle = zip.entry(folder + PICKLE).orElseThrow();
            if (pickle.size() > MAX_PICKLE_BYTES) {
                throw file.error(
                        "%s has %,d bytes; at most %,d are accepted.", pickle.name(), pickle.size(), MAX_PICKLE_BYTES);
            }
            try (InputStream in = file.stream(pickle.offset(), pickle.size())) {
                return StateDictPickle.read(
                        file, pickle.name(), in, (key, dtype, bytes) -> storage(file, zip, folder, key, dtype, bytes));
            } catch (IOException e) {
                throw new CheckpointException(path + ": can't be read: " + e, e);
            }
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

    private static Storage storage(
            CheckpointFile file, ZipDirectory zip, String folder, String key, DType dtype, long bytes) {
        String name = folder + "data/" + key;
        ZipDirectory.Entry entry = zip.entry(name)
                .orElseThrow(() -> file.error("needs the storage '%s', which it does not hold. It is damaged.", name));
        if (entry.size() != bytes) {
            throw file.error(
                    "storage '%s' should have %,d bytes but has %,d. The file is damaged.", name, bytes, entry.size());
        }
        return new Storage(dtype, entry.offset(), bytes);
    }
}
