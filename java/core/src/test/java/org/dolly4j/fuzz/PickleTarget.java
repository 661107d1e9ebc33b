package org.dolly4j.fuzz;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** The bytes are the pickled state dict of a file of {@code torch.save}, which has storages 0 to 3 of 64 bytes. */
public final class PickleTarget {
    private static final int STORAGES = 4;
    private static final byte[] STORAGE = new byte[64];
    private static final ModelFolder FOLDER = new ModelFolder("config.json");

    private PickleTarget() {}

    /** Called by the fuzzer. */
    public static void fuzzerTestOneInput(byte[] data) {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(file)) {
            zip.setMethod(ZipOutputStream.STORED);
            store(zip, "archive/data.pkl", data);
            for (int i = 0; i < STORAGES; i++) {
                store(zip, "archive/data/" + i, STORAGE);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        FOLDER.write("pytorch_model.bin", file.toByteArray());
        FOLDER.open();
    }

    private static void store(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        CRC32 crc = new CRC32();
        crc.update(bytes);
        entry.setSize(bytes.length);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(bytes);
        zip.closeEntry();
    }
}
