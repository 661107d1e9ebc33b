package org.dolly4j.check;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.dolly4j.CheckpointException;
import org.dolly4j.Dolly;
import org.dolly4j.DollyOptions;
import org.dolly4j.GenerationRequest;

/**
 * Loads model folders that have a defect each, some of them made to run code: the folder {@code hostile} of the
 * goldens. Each must end in a message that names the spoilt file, within time and memory; the one without a defect must
 * answer.
 */
public final class HostileCheck {
    private static final Duration LONGEST = Duration.ofSeconds(10);
    private static final long MOST_HEAP = 1L << 30;
    private static final int ANSWER_TOKENS = 4;

    /** What a payload that is run makes in the current folder. */
    private static final Path PAYLOAD = Path.of("PWNED");

    private final Path folder;
    private final DollyOptions options;
    private final CheckReport report = new CheckReport("hostile");
    private double longest;
    private long mostHeap;

    private HostileCheck(Path folder, DollyOptions options) {
        this.folder = folder;
        this.options = options;
    }

    /**
     * Loads every folder of manifest.jsonl.
     *
     * @param folder the folder {@code hostile} of the goldens
     * @param options what runs the step, and where
     * @throws CheckpointException if manifest.jsonl cannot be read
     */
    public static CheckReport run(Path folder, DollyOptions options) {
        HostileCheck check = new HostileCheck(folder, options);
        for (GoldenLine line : Goldens.lines(folder.resolve("manifest.jsonl"))) {
            check.report.check(line.text("folder"), () -> check.load(line));
        }
        check.report.figure(String.format(
                Locale.ROOT,
                "at most %.2f s (allowed %d) and %d MB of heap (allowed %d)",
                check.longest,
                LONGEST.toSeconds(),
                check.mostHeap >> 20,
                MOST_HEAP >> 20));
        return check.report;
    }

    private String load(GoldenLine line) {
        List<MemoryPoolMXBean> heap = ManagementFactory.getMemoryPoolMXBeans().stream()
                .filter(pool -> pool.getType() == MemoryType.HEAP)
                .toList();
        heap.forEach(MemoryPoolMXBean::resetPeakUsage);
        long start = System.nanoTime();
        String difference = answer(line);
        double seconds = (System.nanoTime() - start) / 1e9;
        long bytes =
                heap.stream().mapToLong(pool -> pool.getPeakUsage().getUsed()).sum();
        longest = Math.max(longest, seconds);
        mostHeap = Math.max(mostHeap, bytes);
        if (Files.exists(PAYLOAD)) {
            return "a payload was run: it made the file " + PAYLOAD.toAbsolutePath();
        }
        if (seconds > LONGEST.toSeconds() || bytes > MOST_HEAP) {
            return String.format(Locale.ROOT, "took %.1f s and %,d bytes of heap", seconds, bytes);
        }
        return difference;
    }

    private String answer(GoldenLine line) {
        boolean isSpoilt = line.has("file");
        try (Dolly dolly = Dolly.load(folder.resolve(line.text("folder")), options)) {
            dolly.generate(GenerationRequest.forInstruction("Hello")
                    .maxNewTokens(ANSWER_TOKENS)
                    .build());
        } catch (CheckpointException e) {
            String file = isSpoilt ? folder.resolve(line.text("file")).toString() : "";
            return isSpoilt && String.valueOf(e.getMessage()).startsWith(file)
                    ? ""
                    : "ended with '" + e.getMessage() + "'"
                            + (isSpoilt ? ", which does not begin with " + file : "; nothing is wrong there");
        }
        return isSpoilt ? "was loaded, but " + line.text("what") : "";
    }
}
