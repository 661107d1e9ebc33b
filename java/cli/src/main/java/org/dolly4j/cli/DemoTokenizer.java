package org.dolly4j.cli;

import java.io.IOException;
import java.net.JarURLConnection;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import org.dolly4j.DollyException;
import org.dolly4j.tokenizer.Tokenizer;

/** The tokenizer of the demo model, read where it lies: neither extracted nor with the model beside it. */
final class DemoTokenizer {
    private static final String FILE = "/org/dolly4j/demo/tokenizer.json";

    private DemoTokenizer() {}

    static Tokenizer load() {
        URL resource = DemoTokenizer.class.getResource(FILE);
        if (resource == null) {
            throw new DollyException("The demo model is not on the class path: give a model by --model PATH.");
        }
        try {
            if (!(resource.openConnection() instanceof JarURLConnection connection)) {
                return Tokenizer.load(Path.of(resource.toURI()).getParent());
            }
            Path jar = Path.of(connection.getJarFileURL().toURI());
            try (FileSystem files = FileSystems.newFileSystem(jar)) {
                return Tokenizer.load(files.getPath(FILE).getParent());
            }
        } catch (IOException | URISyntaxException e) {
            throw new DollyException("The demo tokenizer at " + resource + " cannot be read: " + e.getMessage(), e);
        }
    }
}
