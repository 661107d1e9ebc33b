package org.dolly4j;

import java.io.IOException;
import java.io.InputStream;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The demo model as a folder. Native code maps files, so what lies in a jar is extracted: to a folder of this user
 * alone whose name is a hash of the contents, each file by a rename. So processes share it, none sees half a file, and
 * what a cleaner of the temporary folder has taken is put back.
 */
final class DemoModel {
    static final String NAME = "dolly-demo";

    private static final String RESOURCES = "org/dolly4j/demo/";
    private static final List<String> FILES = List.of(
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json");
    private static final String FOLDER_PROPERTY = "dolly4j.demo.dir";
    private static final Path PROCESS = Path.of("/proc/self");
    private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");
    private static final boolean POSIX =
            FileSystems.getDefault().supportedFileAttributeViews().contains("posix");

    private DemoModel() {}

    /**
     * The folder of the demo model.
     *
     * @throws CheckpointException if the artifact is not on the class path, or cannot be extracted
     */
    static Path folder() {
        String stated = System.getProperty(FOLDER_PROPERTY);
        return folder(
                DemoModel.class.getClassLoader(),
                Path.of(stated != null ? stated : System.getProperty("java.io.tmpdir")));
    }

    /**
     * As {@link #folder()}, from a class loader of choice, and extracted below {@code base} unless it is in plain
     * files.
     */
    static Path folder(ClassLoader loader, Path base) {
        Map<String, URL> resources = new LinkedHashMap<>();
        for (String file : FILES) {
            URL resource = loader.getResource(RESOURCES + file);
            if (resource == null) {
                throw new CheckpointException("The demo model is not on the class path (no " + RESOURCES + file
                        + "): add the artifact org.dolly4j:dolly4j-demo-model, or load a model folder instead.");
            }
            resources.put(file, resource);
        }
        URL config = resources.get(FILES.get(0));
        try {
            return config.getProtocol().equals("file")
                    ? Path.of(config.toURI()).getParent()
                    : extracted(resources, base);
        } catch (IOException | URISyntaxException e) {
            throw new CheckpointException(
                    "The demo model cannot be extracted below " + base + " (" + e + "): set -D" + FOLDER_PROPERTY
                            + "=DIR to a folder that can be written.",
                    e);
        }
    }

    private static Path extracted(Map<String, URL> resources, Path base) throws IOException {
        MessageDigest digest = sha256();
        Map<String, Long> sizes = new LinkedHashMap<>();
        for (Map.Entry<String, URL> resource : resources.entrySet()) {
            try (InputStream in = resource.getValue().openStream()) {
                byte[] bytes = in.readAllBytes();
                digest.update(bytes);
                sizes.put(resource.getKey(), (long) bytes.length);
            }
        }
        String user = System.getProperty("user.name").replaceAll("[^\\w.-]", "_");
        String hash = HexFormat.of().formatHex(digest.digest(), 0, 8);
        Path folder = Files.createDirectories(base).resolve("dolly4j-demo-" + user + "-" + hash);
        makePrivate(folder);
        for (Map.Entry<String, URL> resource : resources.entrySet()) {
            Path file = folder.resolve(resource.getKey());
            if (!Files.isRegularFile(file) || Files.size(file) != sizes.get(resource.getKey())) {
                extract(resource.getValue(), file);
            }
        }
        return folder;
    }

    private static void extract(URL resource, Path file) throws IOException {
        Path part = Files.createTempFile(file.getParent(), "part-", "");
        try (InputStream in = resource.openStream()) {
            Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    /** Makes the folder, or makes sure that no one else can have put anything into one that is there. */
    private static void makePrivate(Path folder) throws IOException {
        try {
            if (POSIX) {
                Files.createDirectory(folder, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
            } else {
                Files.createDirectory(folder);
            }
        } catch (FileAlreadyExistsException e) {
            if (POSIX) {
                PosixFileAttributes found =
                        Files.readAttributes(folder, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
                if (!found.isDirectory()
                        || !OWNER_ONLY.containsAll(found.permissions())
                        || !found.owner().equals(self(folder.getParent()))) {
                    throw new FileSystemException(
                            folder.toString(), null, "is there, but is not a folder of this user alone");
                }
            }
        }
    }

    /** Who this process is to the file system; where Linux does not tell, a file of its own does. */
    private static UserPrincipal self(Path base) throws IOException {
        if (Files.exists(PROCESS)) {
            return Files.getOwner(PROCESS);
        }
        Path probe = Files.createTempFile(base, "dolly4j-", "");
        try {
            return Files.getOwner(probe);
        } finally {
            Files.delete(probe);
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }
}
