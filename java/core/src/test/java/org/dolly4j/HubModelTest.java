package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dolly4j.hub.DownloadProgress;
import org.dolly4j.hub.HubOptions;
import org.dolly4j.hub.LoopbackHub;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Models that are named by their id on the hub. */
@Timeout(60)
class HubModelTest {
    @TempDir
    private Path cache;

    private final List<DownloadProgress> progress = new ArrayList<>();
    private LoopbackHub hub;

    @BeforeEach
    void publish() throws IOException {
        hub = new LoopbackHub();
        for (String name : List.of("config.json", "model.safetensors")) {
            hub.file(name, Files.readAllBytes(TinyDolly.CHECKPOINT.resolve(name)));
        }
        for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
            hub.file(name, Files.readAllBytes(TestTokenizers.published().resolve(name)));
        }
    }

    @AfterEach
    void stop() {
        hub.close();
    }

    private DollyOptions.Builder options(boolean offline) {
        return DollyOptions.builder()
                .threads(1)
                .hub(HubOptions.builder()
                        .endpoint(hub.endpoint())
                        .cacheDirectory(cache)
                        .withoutToken()
                        .offline(offline)
                        .progress(progress::add)
                        .build());
    }

    private static String answer(Dolly dolly) {
        return dolly.generate(TinyDolly.ask(8).build()).text();
    }

    @Test
    void id_answersAsTheFolderDoes_alsoOffline() {
        String expected;
        try (Dolly folder = Dolly.load(TinyDolly.CHECKPOINT, TinyDolly.options())) {
            expected = answer(folder);
        }
        try (Dolly online = Dolly.load(LoopbackHub.ID, options(false).build())) {
            assertThat(answer(online)).isEqualTo(expected);
            assertThat(online.info().name()).isEqualTo(LoopbackHub.ID);
        }
        assertThat(progress).isNotEmpty();
        hub.close();
        try (Dolly offline = Dolly.load(LoopbackHub.ID, options(true).build())) {
            assertThat(answer(offline)).isEqualTo(expected);
        }
    }

    @Test
    void revision_isTheOneThatIsAskedFor() {
        try (Dolly pinned =
                Dolly.load(LoopbackHub.ID, options(false).revision(hub.commit).build())) {
            assertThat(pinned.info().name()).isEqualTo(LoopbackHub.ID);
        }
        assertThat(hub.asked().get(0)).endsWith("/revision/" + hub.commit);
    }

    @Test
    void idOfNoModel_isSaidToBeNoFolderEither() {
        assertThatThrownBy(() -> Dolly.load("databricks/none", options(false).build()))
                .isInstanceOf(HubException.class)
                .hasMessageStartingWith(
                        "There is no folder 'databricks/none', so it was taken for a model of the hub. ")
                .hasMessageContaining("404");
    }

    @Test
    void id_canTakeTheFoldersPlace() {
        try (Dolly dolly = Dolly.load(TinyDolly.CHECKPOINT, TinyDolly.options())) {
            dolly.reload(LoopbackHub.ID, options(false).build());
            assertThat(dolly.info().name()).isEqualTo(LoopbackHub.ID);
            assertThat(answer(dolly)).isNotEmpty();
        }
    }

    @Test
    void nameWithoutNamespace_isAFolderOnly() {
        assertThatThrownBy(() -> Dolly.load("none", options(false).build()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("none: is not a folder");
        assertThat(hub.log).isEmpty();
    }

    @Test
    void memoryPlan_needsNoWeights() {
        LoadPlan plan = LoadPlan.of(LoopbackHub.ID, options(false).build());

        assertThat(plan.plans()).isNotEmpty();
        assertThat(hub.sent("model.safetensors")).isLessThanOrEqualTo(256 << 10);
        LoadPlan ofFolder = LoadPlan.of(TinyDolly.CHECKPOINT, TinyDolly.options());
        assertThat(plan.preferred()).isEqualTo(WeightType.BFLOAT16);
        assertThat(plan.plans()).hasSameSizeAs(ofFolder.plans());
        assertThat(plan.plans().get(0).weights())
                .isEqualTo(ofFolder.plans().get(0).weights());
    }

    @Test
    void memoryPlan_knowsTheTypeOfTheWeights_byTheirHeaders_andOtherwiseByTheConfiguration() throws IOException {
        String config = Files.readString(TinyDolly.CHECKPOINT.resolve("config.json"));
        hub.file("config.json", config.replace("bfloat16", "float32"));
        assertThat(LoadPlan.of(LoopbackHub.ID, options(false).build()).preferred())
                .isEqualTo(WeightType.BFLOAT16);
        hub.storeFault = (exchange, name) -> {
            hub.sendWhole(exchange, name);
            return true;
        };
        assertThat(LoadPlan.of(LoopbackHub.ID, options(false).build()).preferred())
                .isEqualTo(WeightType.FLOAT32);
    }

    @Test
    void revisionOfAFolder_isRefused() {
        assertThatThrownBy(() -> Dolly.load(
                        TinyDolly.CHECKPOINT.toString(),
                        options(false).revision("main").build()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'main'");
        assertThat(hub.log).isEmpty();
    }
}
