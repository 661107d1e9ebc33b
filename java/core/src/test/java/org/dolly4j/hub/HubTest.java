package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dolly4j.HubException;
import org.dolly4j.hub.DownloadProgress.Phase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class HubTest extends HubFixture {
    private static Set<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
        }
    }

    @Test
    void download_makesTheLayoutOfHuggingfaceHub() throws IOException {
        Path folder = download();

        assertIsModel(folder);
        assertThat(Files.readString(repositoryFolder().resolve("refs/main"))).isEqualTo(hub.commit);
        String etag = LoopbackHub.etag(hub.bytes(WEIGHTS));
        assertThat(Files.readSymbolicLink(folder.resolve(WEIGHTS))).isEqualTo(Path.of("../../blobs", etag));
        assertThat(names(repositoryFolder().resolve("blobs")))
                .as("nothing is left over")
                .allMatch(name -> name.matches("[0-9a-f]{40}|[0-9a-f]{64}"));
        assertThat(cache.resolve(".locks/models--org--model/" + etag + ".lock")).exists();
    }

    @Test
    void download_bringsOnlyWhatAModelNeeds() throws IOException {
        assertThat(names(download()))
                .containsExactlyInAnyOrder(
                        "config.json",
                        "generation_config.json",
                        "tokenizer.json",
                        "tokenizer_config.json",
                        "special_tokens_map.json",
                        WEIGHTS);
        assertThat(hub.asked()).noneMatch(asked -> asked.endsWith(".py") || asked.endsWith(".bin"));
    }

    @Test
    void request_saysNothingButWhatIsAskedFor() {
        new Hub(options().build()).download(new HubRepository(LoopbackHub.ID, "refs/pr/1"));

        assertThat(hub.asked().get(0)).isEqualTo("GET /api/models/org/model/revision/refs%2Fpr%2F1");
        assertThat(repositoryFolder().resolve("refs/refs/pr/1")).hasContent(hub.commit);
        for (LoopbackHub.Asked asked : hub.log) {
            assertThat(asked.headers().keySet())
                    .isSubsetOf("Accept-encoding", "User-agent", "Range", "Host", "Connection", "Content-length");
            assertThat(asked.headers().getFirst("User-Agent")).matches("dolly4j/[0-9][\\w.-]+");
        }
    }

    @Test
    void largeFile_comesInSeveralRangesAtOnce() throws Exception {
        CountDownLatch together = new CountDownLatch(4);
        hub.storeFault = (exchange, name) -> {
            together.countDown();
            assertThat(together.await(20, TimeUnit.SECONDS)).isTrue();
            return false;
        };

        assertIsModel(download());

        assertThat(hub.sent(WEIGHTS)).isEqualTo(WEIGHTS_BYTES);
    }

    @Test
    void token_goesToTheHubAndToNobodyElse() throws IOException {
        assertIsModel(new Hub(options().token("hf_secret").build()).download(MODEL));

        assertThat(hub.log).anyMatch(asked -> !asked.hubItself());
        for (LoopbackHub.Asked asked : hub.log) {
            assertThat(asked.headers().get("Authorization"))
                    .as(asked.toString())
                    .isEqualTo(asked.hubItself() ? List.of("Bearer hf_secret") : null);
        }
    }

    @Test
    void secondDownload_asksOnlyWhichCommitItIs() throws IOException {
        download();
        hub.log.clear();

        assertIsModel(download());

        assertThat(hub.asked()).containsExactly("GET /api/models/org/model/revision/main");
    }

    @Test
    void commitInTheCache_asksNobody() throws IOException {
        download();
        hub.log.clear();

        assertIsModel(new Hub(options().build()).download(new HubRepository(LoopbackHub.ID, hub.commit)));

        assertThat(hub.log).isEmpty();
    }

    @Test
    void commit_thatTheHubAnswersAsAnother_isRefused() {
        HubRepository pinned = new HubRepository(LoopbackHub.ID, "f".repeat(40));
        assertThatThrownBy(() -> new Hub(options().build()).download(pinned))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("answers with the commit " + hub.commit);
    }

    @Test
    void movedBranch_bringsOnlyWhatChanged() throws IOException {
        Path before = download();
        hub.log.clear();
        hub.commit = "a".repeat(40);
        hub.file("generation_config.json", "{\"top_k\":5}");

        assertIsModel(download());

        assertThat(hub.asked())
                .filteredOn(asked -> asked.startsWith("GET /org"))
                .hasSize(1);
        assertThat(before.resolve("config.json")).exists();
        assertThat(repositoryFolder().resolve("refs/main")).hasContent(hub.commit);
    }

    @Test
    void offline_takesWhatIsInTheCache() throws IOException {
        download();
        hub.log.clear();

        assertIsModel(new Hub(options().offline(true).build()).download(MODEL));

        assertThat(hub.log).isEmpty();
    }

    @Test
    void tokenAndProxyThatCannotBeUsed_hurtOnlyWhoNeedsThem() throws IOException {
        Path tooLong = Files.write(cache.resolve("token"), new byte[100_000]);
        HubOptions.Builder odd = HubOptions.builder(
                        new HubEnvironment(Map.of("HF_TOKEN_PATH", tooLong.toString()), cache.resolve("no-home")))
                .endpoint(hub.endpoint())
                .cacheDirectory(cache);
        assertThatThrownBy(() -> new Hub(odd.build()).download(MODEL)).hasMessageContaining("too long to hold a token");
        HubOptions offline = odd.offline(true).build();

        assertIsModel(new Hub(odd.offline(false).withoutToken().build()).download(MODEL));
        assertIsModel(new Hub(odd.token("hf_secret").build()).download(MODEL));
        assertIsModel(new Hub(offline).download(MODEL));

        Map<String, String> socks = Map.of("HTTP_PROXY", "socks5://proxy:1080");
        HubOptions.Builder proxied = HubOptions.builder(new HubEnvironment(socks, cache.resolve("no-home")))
                .cacheDirectory(cache);
        assertIsModel(new Hub(proxied.offline(true).build()).download(MODEL));
        assertThatThrownBy(() -> new Hub(proxied.offline(false).build()).download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("HTTP_PROXY is not the address of an http proxy");
    }

    @Test
    void offline_withoutTheModel_saysWhatIsMissing() throws IOException {
        Hub offline = new Hub(options().offline(true).build());
        assertThatThrownBy(() -> offline.download(MODEL))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("has no org/model at revision 'main'")
                .hasMessageContaining("HF_HUB_OFFLINE");
        Files.delete(download().resolve("tokenizer.json"));
        assertThatThrownBy(() -> offline.download(MODEL)).hasMessageContaining("but not tokenizer.json");
    }

    @Test
    void unreachableHub_leavesWhatIsInTheCache() throws IOException {
        Path folder = download();
        hub.close();

        assertThat(download()).isEqualTo(folder);
    }

    @Test
    void unreachableHub_withoutTheModel_saysSo() {
        hub.close();

        assertThatThrownBy(this::download)
                .isInstanceOf(HubException.class)
                .hasMessageContaining("127.0.0.1 cannot be reached")
                .hasMessageContaining("has no org/model")
                .hasMessageContaining("HTTPS_PROXY");
    }

    @Test
    void failedUpdate_leavesTheCommitBefore() throws IOException {
        Path before = download();
        hub.commit = "b".repeat(40);
        hub.file(WEIGHTS, random(WEIGHTS_BYTES, 3));
        hub.storeFault = (exchange, name) -> {
            LoopbackHub.sendText(exchange, 503, "");
            return true;
        };

        assertThat(download()).isEqualTo(before);
        assertThat(new Hub(options().offline(true).build()).download(MODEL)).isEqualTo(before);
    }

    @Test
    void shardedWeights_comeWithTheirIndex() throws IOException {
        hub.remove(WEIGHTS);
        hub.file(
                "model.safetensors.index.json",
                """
                {"metadata":{},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}""");
        hub.file("model-1.safetensors", random(200_000, 4)).file("model-2.safetensors", random(100, 5));
        hub.file("model-3.safetensors", "not named");

        Path folder = download();

        assertThat(folder.resolve("model-1.safetensors")).hasBinaryContent(hub.bytes("model-1.safetensors"));
        assertThat(folder.resolve("model-2.safetensors")).hasBinaryContent(hub.bytes("model-2.safetensors"));
        assertThat(names(folder)).contains("model.safetensors.index.json").doesNotContain("model-3.safetensors");
        Files.delete(folder.resolve("model-2.safetensors"));
        assertThatThrownBy(() -> new Hub(options().offline(true).build()).download(MODEL))
                .hasMessageContaining("but not model-2.safetensors");
    }

    @Test
    void withoutSafetensors_takesTheBin() throws IOException {
        hub.remove(WEIGHTS);
        assertThat(names(download())).contains("pytorch_model.bin");
    }

    @Test
    void weightsInTheCache_areNotBroughtInAnotherForm() throws IOException {
        byte[] safetensors = hub.bytes(WEIGHTS);
        hub.remove(WEIGHTS);
        Path folder = download();
        Files.delete(folder.resolve("generation_config.json"));
        hub.file(WEIGHTS, safetensors);

        assertThat(download()).isEqualTo(folder);
        assertThat(names(folder))
                .contains("pytorch_model.bin", "generation_config.json")
                .doesNotContain(WEIGHTS);

        hub.commit = "d".repeat(40);
        assertIsModel(download());
    }

    @Test
    void repositoryWithoutAModel_isRefusedWithWhatItHas() {
        hub.remove(WEIGHTS);
        hub.remove("pytorch_model.bin");
        assertThatThrownBy(this::download)
                .isInstanceOf(HubException.class)
                .hasMessageContaining("has no weights (model.safetensors, ")
                .hasMessageContaining("it has README.md, config.json, ");
    }

    @Test
    void tokenizerAlone_comesWithoutTheWeights() throws IOException {
        Path folder = new Hub(options().build()).downloadTokenizer(MODEL);

        assertThat(names(folder))
                .containsExactlyInAnyOrder(
                        "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json");
        assertThat(new Hub(options().offline(true).build()).downloadTokenizer(MODEL))
                .isEqualTo(folder);
        assertThatThrownBy(() -> new Hub(options().offline(true).build()).download(MODEL))
                .hasMessageContaining("but not the weights");
        assertIsModel(download());
    }

    @Test
    void tokenizerOfVocabularyAndMerges_isOne() throws IOException {
        hub.remove("tokenizer.json");
        assertThatThrownBy(() -> new Hub(options().build()).downloadTokenizer(MODEL))
                .hasMessageContaining("has no tokenizer (tokenizer.json, or vocab.json and merges.txt)");
        hub.file("vocab.json", "{}").file("merges.txt", "");

        assertThat(names(download())).contains("vocab.json", "merges.txt");
        assertThat(new Hub(options().offline(true).build()).download(MODEL)).isEqualTo(download());
    }

    @Test
    void vocabularyAndMerges_areNotNeededBesideATokenizer() throws IOException {
        hub.file("vocab.json", "{}").file("merges.txt", "");

        assertThat(names(download())).contains("tokenizer.json").doesNotContain("vocab.json", "merges.txt");

        Path trees = Files.createDirectories(repositoryFolder().resolve("trees"));
        Files.writeString(
                trees.resolve(hub.commit + ".json"),
                """
                {"files":{"config.json":{},"tokenizer.json":{},"vocab.json":{},"merges.txt":{}}}""");
        assertIsModel(new Hub(options().offline(true).build()).download(MODEL));
    }

    @Test
    void emptyFile_isBroughtToo() throws IOException {
        hub.file("generation_config.json", "");
        assertThat(download().resolve("generation_config.json")).isEmptyFile();
    }

    @Test
    void deletedBlob_isBroughtAgain() throws IOException {
        download();
        Files.delete(repositoryFolder().resolve("blobs").resolve(LoopbackHub.etag(hub.bytes(WEIGHTS))));

        assertIsModel(download());
    }

    @Test
    void shortBlob_isBroughtAgain() throws IOException {
        String etag = LoopbackHub.etag(hub.bytes(WEIGHTS));
        Files.createDirectories(repositoryFolder().resolve("blobs"));
        Files.write(repositoryFolder().resolve("blobs").resolve(etag), random(1000, 1));

        assertIsModel(download());
    }

    @Test
    void progress_goesUpToAllBytes() {
        List<DownloadProgress> steps = new ArrayList<>();
        Thread caller = Thread.currentThread();

        new Hub(options()
                        .progress(step -> {
                            assertThat(Thread.currentThread()).isSameAs(caller);
                            steps.add(step);
                        })
                        .build())
                .download(MODEL);

        assertThat(steps).extracting(DownloadProgress::bytes).isSorted();
        DownloadProgress last = steps.get(steps.size() - 1);
        assertThat(last.bytes()).isEqualTo(last.totalBytes()).isGreaterThan(WEIGHTS_BYTES);
        assertThat(steps).filteredOn(step -> step.phase() == Phase.DONE).hasSize(6);
    }

    @Test
    void listenerThatThrows_endsTheDownload_andALaterOneGoesOn() throws IOException {
        RuntimeException enough = new IllegalStateException("enough");
        Hub impatient = new Hub(options()
                .progress(step -> {
                    if (step.phase() == Phase.DONE) {
                        throw enough;
                    }
                })
                .build());
        assertThatThrownBy(() -> impatient.download(MODEL)).isSameAs(enough);

        assertIsModel(download());
    }

    @Test
    void interruption_endsTheDownload() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch never = new CountDownLatch(1);
        hub.storeFault = (exchange, name) -> {
            begun.countDown();
            return never.await(20, TimeUnit.SECONDS);
        };
        List<Throwable> thrown = new ArrayList<>();
        Thread thread = new Thread(() -> {
            try {
                download();
            } catch (RuntimeException e) {
                thrown.add(e);
            }
        });
        thread.start();
        assertThat(begun.await(20, TimeUnit.SECONDS)).isTrue();
        thread.interrupt();
        thread.join(10_000);

        assertThat(thread.isAlive()).isFalse();
        assertThat(thrown).singleElement().isInstanceOf(CancellationException.class);
    }

    @Test
    void interruptionWhileFilesAreRead_isNoFailureOfTheCache() {
        Hub interrupted = new Hub(
                options().progress(step -> Thread.currentThread().interrupt()).build());
        assertThatThrownBy(() -> interrupted.download(MODEL)).isInstanceOf(CancellationException.class);
        assertThat(Thread.interrupted()).as("still interrupted").isTrue();

        download();
        Thread.currentThread().interrupt();
        assertThatThrownBy(this::download).isInstanceOf(CancellationException.class);
        assertThat(Thread.interrupted()).as("still interrupted").isTrue();
    }
}
