package org.dolly4j.cli;

import org.dolly4j.runtime.ModelOptions.Backend;
import picocli.CommandLine.Option;

/** What computes, and where. */
final class BackendArguments {
    @Option(
            names = "--backend",
            paramLabel = "NAME",
            converter = NameConverter.Backends.class,
            completionCandidates = NameConverter.Backends.class,
            description = "What runs the model: ${COMPLETION-CANDIDATES}.")
    Backend backend = Backend.LIBTORCH;

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description = "Where it runs: cpu (the default), cuda or cuda:N.")
    String device = "cpu";
}
