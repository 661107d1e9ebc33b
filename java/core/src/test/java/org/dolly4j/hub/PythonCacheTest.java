package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * One cache for Python's huggingface_hub and this library. Needs a Python that has it: {@code python3}, or the one that
 * the system property {@code dolly4j.test.python} or the environment variable {@code DOLLY4J_TEST_PYTHON} names.
 */
@Timeout(120)
class PythonCacheTest extends HubFixture {
    private static final String PYTHON = Optional.ofNullable(System.getProperty("dolly4j.test.python"))
            .or(() -> Optional.ofNullable(System.getenv("DOLLY4J_TEST_PYTHON")))
            .orElse("python3");

    /** What it prints, and its exit code at the end. */
    private String python(String offline, String... lines) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(PYTHON, "-c", String.join("\n", lines));
        builder.environment().keySet().removeIf(name -> name.startsWith("HF_") || name.endsWith("_proxy"));
        builder.environment().put("HF_ENDPOINT", hub.endpoint().toString());
        builder.environment().put("HF_HOME", cache.resolve("home").toString());
        builder.environment().put("HF_HUB_CACHE", cache.toString());
        builder.environment().put("HF_HUB_OFFLINE", offline);
        builder.environment().put("HF_HUB_DISABLE_TELEMETRY", "1");
        builder.environment().put("HF_HUB_DISABLE_XET", "1");
        builder.environment().put("HF_HUB_DISABLE_PROGRESS_BARS", "1");
        Process process = builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return out + process.waitFor();
    }

    @BeforeEach
    void requirePython() throws InterruptedException {
        boolean there;
        try {
            there = python("1", "import huggingface_hub").equals("0");
        } catch (IOException e) {
            there = false;
        }
        assumeTrue(there, PYTHON + " has no huggingface_hub: set -Ddolly4j.test.python to one that has");
    }

    @Test
    void cacheOfThisLibrary_isReadByPythonOffline() throws Exception {
        Path folder = download();
        hub.log.clear();

        String printed = python(
                "1",
                "from huggingface_hub import snapshot_download, hf_hub_download, scan_cache_dir",
                "print(snapshot_download('org/model', local_files_only=True))",
                "print(snapshot_download('org/model'))",
                "print(hf_hub_download('org/model', '" + WEIGHTS + "'))",
                "info = scan_cache_dir()",
                "print(len(info.repos), len(info.warnings), [r.repo_id for r in info.repos])");

        assertThat(printed.lines())
                .containsExactly(
                        folder.toString(),
                        folder.toString(),
                        folder.resolve(WEIGHTS).toString(),
                        "1 0 ['org/model']",
                        "0");
        assertThat(hub.log).isEmpty();
    }

    @Test
    void cacheOfThisLibrary_isNotDownloadedAgainByPython() throws Exception {
        Path folder = download();
        hub.log.clear();

        String printed = python(
                "0",
                "from huggingface_hub import snapshot_download",
                "print(snapshot_download('org/model', allow_patterns=['*.json', '*.safetensors']))");

        assertThat(printed.lines()).containsExactly(folder.toString(), "0");
        assertThat(hub.asked()).isNotEmpty().noneMatch(asked -> asked.contains("/resolve/"));
    }

    @Test
    void cacheOfPython_isReadByThisLibrary() throws Exception {
        String printed =
                python("0", "from huggingface_hub import snapshot_download", "print(snapshot_download('org/model'))");
        hub.log.clear();

        Path offline = new Hub(options().offline(true).build()).download(MODEL);
        Path pinned = new Hub(options().build()).download(new HubRepository(LoopbackHub.ID, hub.commit));
        assertThat(hub.log).isEmpty();
        Path online = download();

        assertIsModel(offline);
        assertThat(List.of(pinned, online)).containsOnly(offline);
        assertThat(printed.lines()).containsExactly(offline.toString(), "0");
        assertThat(hub.asked()).containsExactly("GET /api/models/org/model/revision/main");
    }

    @Test
    void cacheThatPythonFilledInPart_isCompleted() throws Exception {
        python("0", "from huggingface_hub import hf_hub_download", "hf_hub_download('org/model', 'config.json')");
        Path config =
                repositoryFolder().resolve("snapshots").resolve(hub.commit).resolve("config.json");
        assertThat(config).exists();
        hub.log.clear();

        assertIsModel(download());

        assertThat(hub.asked()).noneMatch(asked -> asked.endsWith("/config.json"));
        assertThat(Files.readString(repositoryFolder().resolve("refs/main"))).isEqualTo(hub.commit);
    }

    @Test
    void weightsThatPythonChose_areNotBroughtInAnotherForm() throws Exception {
        python(
                "0",
                "from huggingface_hub import snapshot_download",
                "snapshot_download('org/model', allow_patterns=['*.json', '*.bin'])");

        Path folder = new Hub(options().offline(true).build()).download(MODEL);

        assertThat(folder.resolve("pytorch_model.bin")).exists();
        assertThat(download()).isEqualTo(folder);
        assertThat(folder.resolve(WEIGHTS)).doesNotExist();
    }
}
