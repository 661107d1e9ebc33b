package org.dolly4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.dolly4j.check.CheckReport;
import picocli.CommandLine.Help.Ansi;

/** Prints what checks came to: a block for each part, a line for each report in it, and the sums at last. */
final class CheckPrinter {
    private static final int FAILURES_SHOWN = 3;

    private final Output out;
    private final Ansi ansi;
    private final boolean verbose;
    private int passed;
    private int failed;
    private int skipped;

    /** @param verbose whether to show all failures, and not the first few of each report */
    CheckPrinter(Console console, boolean verbose) {
        this.out = console.out();
        this.ansi = console.colours() ? Ansi.ON : Ansi.OFF;
        this.verbose = verbose;
    }

    /** Announces a part, which may take a while. */
    void begin(String part) {
        out.println(coloured("bold", part));
    }

    /**
     * Shows what a part came to.
     *
     * @param seconds how long it took
     */
    void end(List<CheckReport> reports, double seconds) {
        reports.forEach(this::show);
        out.println(String.format(Locale.ROOT, "  (%.1f s)", seconds));
    }

    private void show(CheckReport report) {
        int failures = report.failures().size();
        int skips = report.skips().size();
        passed += report.passed();
        failed += failures;
        skipped += skips;
        out.println("  " + report.part() + ": " + counts(report.passed(), failures, skips, true));
        report.figures().forEach(figure -> out.println("      " + figure));
        List<String> shown = verbose || failures <= FAILURES_SHOWN + 1
                ? report.failures()
                : report.failures().subList(0, FAILURES_SHOWN);
        shown.forEach(failure -> out.println("      " + coloured("red", "failed") + " " + failure));
        if (shown.size() < failures) {
            out.println("      ... and " + (failures - shown.size()) + " more; --verbose shows them");
        }
        report.skips().forEach(skip -> out.println("      skipped " + skip));
    }

    /** Shows the sums of all parts, alone on the last line. */
    void summary() {
        out.println(counts(passed, failed, skipped, false));
    }

    boolean nothingFailed() {
        return failed == 0;
    }

    boolean nothingChecked() {
        return passed + failed == 0;
    }

    private String counts(int passes, int failures, int skips, boolean withoutZeros) {
        List<String> counts = new ArrayList<>();
        if (passes > 0 || !withoutZeros || failures + skips == 0) {
            counts.add(passes + " passed");
        }
        if (failures > 0 || !withoutZeros) {
            counts.add(failures > 0 ? coloured("red", failures + " failed") : "0 failed");
        }
        if (skips > 0 || !withoutZeros) {
            counts.add(skips + " skipped");
        }
        return String.join(", ", counts);
    }

    private String coloured(String style, String text) {
        return ansi.string("@|" + style + " " + text + "|@");
    }
}
