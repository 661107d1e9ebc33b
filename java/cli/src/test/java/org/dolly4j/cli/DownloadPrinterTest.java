package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.dolly4j.hub.DownloadProgress;
import org.dolly4j.hub.DownloadProgress.Phase;
import org.junit.jupiter.api.Test;

class DownloadPrinterTest {
    private static final long MIB = 1 << 20;

    private final StringWriter written = new StringWriter();

    private DownloadPrinter printer(boolean terminal) {
        return new DownloadPrinter(new Console(
                InputStream.nullInputStream(),
                false,
                new Output(OutputStream.nullOutputStream(), false),
                new PrintWriter(written, true),
                terminal,
                false));
    }

    private static void download(DownloadPrinter printer) {
        printer.print(new DownloadProgress("config.json", Phase.DONE, MIB, MIB, MIB, 100 * MIB));
        for (int mib = 1; mib <= 99; mib++) {
            Phase phase = mib == 2 ? Phase.WAITING : Phase.DOWNLOADING;
            printer.print(
                    new DownloadProgress("model.safetensors", phase, mib * MIB, 99 * MIB, (mib + 1) * MIB, 100 * MIB));
        }
        printer.print(
                new DownloadProgress("model.safetensors", Phase.CHECKING, 50 * MIB, 99 * MIB, 100 * MIB, 100 * MIB));
        printer.print(new DownloadProgress("model.safetensors", Phase.DONE, 99 * MIB, 99 * MIB, 100 * MIB, 100 * MIB));
    }

    @Test
    void withoutATerminal_aLineIsPrintedNowAndThen() {
        try (DownloadPrinter printer = printer(false)) {
            download(printer);
        }
        assertThat(written.toString()).doesNotContain("\r", "\u001b");
        assertThat(written.toString().lines())
                .hasSizeBetween(12, 16)
                .contains(
                        "dolly: downloads model.safetensors, 50% of 100.0 MiB in all",
                        "dolly: another process downloads model.safetensors; this one waits",
                        "dolly: checks the bytes of model.safetensors")
                .last()
                .isEqualTo("dolly: downloads model.safetensors, 100% of 100.0 MiB in all");
    }

    @Test
    void onATerminal_oneLineIsWrittenOver() {
        try (DownloadPrinter printer = printer(true)) {
            download(printer);
        }
        assertThat(written.toString())
                .doesNotContain("\n")
                .contains("\r\u001b[Kmodel.safetensors        [############            ]  50% of 100.0 MiB")
                .contains("] 100% of 100.0 MiB")
                .endsWith("\r\u001b[K");
    }

    @Test
    void longName_isShownByItsEnd() {
        try (DownloadPrinter printer = printer(true)) {
            printer.print(new DownloadProgress("pytorch_model-00001-of-00003.bin", Phase.DOWNLOADING, 0, MIB, 0, MIB));
        }
        assertThat(written.toString()).contains("...el-00001-of-00003.bin [   ");
    }
}
