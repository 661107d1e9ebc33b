package org.dolly4j.cli;

import java.util.Optional;
import org.dolly4j.DollyOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import picocli.CommandLine.Option;

/** What computes, and where. */
final class BackendArguments {
    @Option(
            names = "--backend",
            paramLabel = "NAME",
            converter = NameConverter.Backends.class,
            completionCandidates = NameConverter.Backends.class,
            description = "What runs the model: ${COMPLETION-CANDIDATES}; by default kernels on the CPU, libtorch on a"
                    + " CUDA device.")
    Optional<Backend> backend = Optional.empty();

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description = "Where it runs: cpu (the default), cuda, cuda:N, or auto: cuda if there is one, else cpu.")
    String device = "cpu";

    @Option(
            names = "--portable-bits",
            description = "Let the kernels add up in one order on every CPU, so that all give the same text.")
    boolean portableBits;

    /** A builder of options with these set. */
    DollyOptions.Builder options() {
        DollyOptions.Builder builder = DollyOptions.builder().device(device).portableBits(portableBits);
        backend.ifPresent(builder::backend);
        return builder;
    }
}
