package org.dolly4j.cli;

import java.io.PrintWriter;
import java.util.Locale;
import org.dolly4j.hub.DownloadProgress;
import org.dolly4j.hub.DownloadProgress.Phase;

/** Shows on standard error how far a download is: a bar on a terminal, else a line now and then. */
final class DownloadPrinter implements AutoCloseable {
    private static final int BAR_WIDTH = 24;
    private static final int NAME_WIDTH = 24;
    private static final String CLEARED_LINE = "\r\u001b[K";

    /** Percents between two lines where there is no terminal. */
    private static final int STEP = 10;

    private final PrintWriter err;
    private final boolean terminal;
    private final long start = System.nanoTime();
    private long bytesBefore = -1;
    private boolean barShown;
    private String lastFile = "";
    private Phase lastPhase = Phase.DONE;
    private long lastStep;

    DownloadPrinter(Console console) {
        err = console.err();
        terminal = console.errorIsTerminal();
    }

    /** Shows a state. */
    void print(DownloadProgress progress) {
        if (bytesBefore < 0) {
            bytesBefore = progress.phase() == Phase.DONE ? 0 : progress.bytes();
        }
        if (terminal) {
            err.print(CLEARED_LINE + bar(progress));
            err.flush();
            barShown = true;
        } else {
            printLine(progress);
        }
    }

    private String bar(DownloadProgress progress) {
        boolean checking = progress.phase() == Phase.CHECKING;
        long part = checking ? progress.fileBytes() : progress.bytes();
        long all = checking ? progress.fileSize() : progress.totalBytes();
        int filled = (int) (BAR_WIDTH * fraction(part, all));
        return String.format(
                Locale.ROOT,
                "%-" + NAME_WIDTH + "s [%s%s] %3.0f%% %s",
                shortened(progress.file()),
                "#".repeat(filled),
                " ".repeat(BAR_WIDTH - filled),
                100 * fraction(part, all),
                switch (progress.phase()) {
                    case WAITING -> "waits for another process";
                    case CHECKING -> "checks what came";
                    case DOWNLOADING, DONE -> "of " + ByteSize.text(all) + rate(progress);
                });
    }

    private String rate(DownloadProgress progress) {
        double seconds = (System.nanoTime() - start) / 1e9;
        return seconds < 1
                ? ""
                : String.format(Locale.ROOT, ", %.1f MiB/s", (progress.bytes() - bytesBefore) / 0x1p20 / seconds);
    }

    private void printLine(DownloadProgress progress) {
        boolean news = !progress.file().equals(lastFile) || progress.phase() != lastPhase;
        long step = (long) (100 * fraction(progress.bytes(), progress.totalBytes())) / STEP;
        switch (progress.phase()) {
            case WAITING -> {
                if (news) {
                    err.println("dolly: another process downloads " + progress.file() + "; this one waits");
                }
            }
            case DOWNLOADING -> {
                if ((news || step > lastStep) && progress.bytes() < progress.totalBytes()) {
                    err.println(percent(progress));
                }
            }
            case CHECKING -> {
                if (news) {
                    err.println("dolly: checks the bytes of " + progress.file());
                }
            }
            case DONE -> {
                if (progress.bytes() == progress.totalBytes()) {
                    err.println(percent(progress));
                }
            }
        }
        lastFile = progress.file();
        lastPhase = progress.phase();
        lastStep = step;
    }

    private static String percent(DownloadProgress progress) {
        return String.format(
                Locale.ROOT,
                "dolly: downloads %s, %.0f%% of %s in all",
                progress.file(),
                100 * fraction(progress.bytes(), progress.totalBytes()),
                ByteSize.text(progress.totalBytes()));
    }

    private static double fraction(long part, long all) {
        return all == 0 ? 1 : (double) part / all;
    }

    private static String shortened(String name) {
        return name.length() <= NAME_WIDTH ? name : "..." + name.substring(name.length() - NAME_WIDTH + 3);
    }

    /** Leaves a line of its own to whatever comes next. */
    @Override
    public void close() {
        if (barShown) {
            err.print(CLEARED_LINE);
            err.flush();
        }
    }
}
