package org.dolly4j.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.dolly4j.hub.Hub;
import org.dolly4j.hub.HubRepository;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code dolly download}: makes sure that a model of the hub is on this machine. Needs no native code. */
@Command(
        name = "download",
        descriptionHeading = "%n",
        description = {
            "Downloads a model of the Hugging Face hub, unless it is here already, and prints its folder.",
            "It is kept in the cache that Python's huggingface_hub uses too. HF_HOME, HF_HUB_CACHE, HF_TOKEN,"
                    + " HF_ENDPOINT, HF_HUB_OFFLINE and HTTPS_PROXY mean what they mean there. A download that is"
                    + " broken off goes on where it ended.",
        },
        sortOptions = false,
        parameterListHeading = "%n",
        versionProvider = Version.class,
        footer = {
            "%nExamples:",
            "  dolly download databricks/dolly-v2-3b",
            "  dolly info --model \"$(dolly download databricks/dolly-v2-3b)\"%n",
        })
final class DownloadCommand implements Callable<Integer> {
    private final Console console;

    @Parameters(paramLabel = "MODEL", description = "Id of the model, such as databricks/dolly-v2-3b.")
    String model = "";

    @Mixin
    HubArguments hub = new HubArguments();

    @Mixin
    CommonOptions common = new CommonOptions();

    DownloadCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        HubRepository repository = new HubRepository(model, hub.revision.orElse(HubRepository.DEFAULT_REVISION));
        try (DownloadPrinter printer = new DownloadPrinter(console)) {
            Path folder = new Hub(hub.options(printer)).download(repository);
            console.out().println(folder.toString());
        }
        return 0;
    }
}
