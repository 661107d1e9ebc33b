package org.dolly4j.check;

import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dolly4j.CheckpointException;

/** Reads the files of a goldens folder. */
final class Goldens {
    private Goldens() {}

    /**
     * The objects of a .jsonl file, one a line.
     *
     * @throws CheckpointException if the file cannot be read, or a line is not an object
     */
    static List<GoldenLine> lines(Path file) {
        List<GoldenLine> lines = new ArrayList<>();
        try {
            for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
                String place = file + ": line " + (lines.size() + 1);
                lines.add(new GoldenLine(place, JsonParser.parseString(line).getAsJsonObject()));
            }
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
        } catch (JsonParseException | IllegalStateException e) {
            throw new CheckpointException(file + ": line " + (lines.size() + 1) + " is not a JSON object", e);
        }
        return lines;
    }

    /**
     * The files of a folder, in order of their names.
     *
     * @throws CheckpointException if the folder cannot be listed
     */
    static List<Path> files(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(Files::isRegularFile).sorted().toList();
        } catch (IOException e) {
            throw new CheckpointException(folder + ": cannot be listed (" + e + ")", e);
        }
    }
}
