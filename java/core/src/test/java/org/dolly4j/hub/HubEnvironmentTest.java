package org.dolly4j.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.Proxy;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.dolly4j.HubException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HubEnvironmentTest {
    @TempDir
    Path home;

    private HubEnvironment environment(String... namesAndValues) {
        Map<String, String> variables = new HashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            variables.put(namesAndValues[i], namesAndValues[i + 1]);
        }
        return new HubEnvironment(variables, home);
    }

    @Test
    void nothingSet_isTheHubItselfAndTheCacheInTheHomeFolder() {
        HubEnvironment nothing = environment();
        assertThat(nothing.endpoint()).isEqualTo(URI.create("https://huggingface.co"));
        assertThat(nothing.cacheDirectory()).isEqualTo(home.resolve(".cache/huggingface/hub"));
        assertThat(nothing.token()).isEmpty();
        assertThat(nothing.offline()).isFalse();
        assertThat(nothing.proxies()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "HF_HUB_CACHE=/a HUGGINGFACE_HUB_CACHE=/b HF_HOME=/c, /a",
        "HUGGINGFACE_HUB_CACHE=/b HF_HOME=/c XDG_CACHE_HOME=/d, /b",
        "HF_HOME=/c XDG_CACHE_HOME=/d, /c/hub",
        "XDG_CACHE_HOME=/d, /d/huggingface/hub",
        "HF_HUB_CACHE= HF_HOME=/c, /c/hub",
        "HF_HOME=$BASE/${LEAF} BASE=/x LEAF=y, /x/y/hub",
        "HF_HOME=/x/$NONE, /x/$NONE/hub"
    })
    void cache_isWhereTheFirstOfTheVariablesSays(String variables, Path expected) {
        String[] namesAndValues = variables.split("[= ]", -1);
        assertThat(environment(namesAndValues).cacheDirectory()).isEqualTo(expected);
    }

    @Test
    void tilde_isTheHomeFolder() {
        assertThat(environment("HF_HUB_CACHE", "~/models").cacheDirectory()).isEqualTo(home.resolve("models"));
        assertThat(environment("HF_HUB_CACHE", "~").cacheDirectory()).isEqualTo(home);
    }

    @Test
    void homeFolder_isWhatHomeSaysBeforeWhatJavaSays() {
        assertThat(HubEnvironment.of(Map.of("HOME", "/other"), "/java").cacheDirectory())
                .isEqualTo(Path.of("/other/.cache/huggingface/hub"));
        assertThat(HubEnvironment.of(Map.of("HOME", ""), "/java").userHome()).isEqualTo(Path.of("/java"));
        assertThat(HubEnvironment.of(Map.of(), "/java").userHome()).isEqualTo(Path.of("/java"));
    }

    @Test
    void token_isThatOfTheEnvironmentBeforeThatOfAFile() throws IOException {
        Path hfHome = Files.createDirectories(home.resolve(".cache/huggingface"));
        Files.writeString(hfHome.resolve("token"), "hf_file\n");
        Path other = Files.writeString(home.resolve("other"), " hf_other ");

        assertThat(environment().token()).contains("hf_file");
        assertThat(environment("HF_TOKEN_PATH", other.toString()).token()).contains("hf_other");
        assertThat(environment("HUGGING_FACE_HUB_TOKEN", "hf_old").token()).contains("hf_old");
        assertThat(environment("HF_TOKEN", "hf_new\n", "HUGGING_FACE_HUB_TOKEN", "hf_old")
                        .token())
                .contains("hf_new");
        assertThat(environment("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").token()).isEmpty();
        assertThat(environment(
                                "HF_TOKEN",
                                "  ",
                                "HF_TOKEN_PATH",
                                home.resolve("none").toString())
                        .token())
                .isEmpty();
    }

    @Test
    void tokenWithABlank_isRefusedWithoutShowingIt() {
        assertThatThrownBy(() -> environment("HF_TOKEN", "hf_a b").token())
                .isInstanceOf(HubException.class)
                .hasMessageStartingWith("HF_TOKEN has a blank")
                .hasMessageNotContaining("hf_a");
        assertThat(environment("HF_TOKEN", "hf_secret").toString()).doesNotContain("hf_secret");
    }

    @ParameterizedTest
    @CsvSource({"1,true", "ON,true", "yes,true", "True,true", "0,false", "no,false", "'',false"})
    void offline_isWhatPythonTakesForTrue(String value, boolean expected) {
        assertThat(environment("HF_HUB_OFFLINE", value).offline()).isEqualTo(expected);
        assertThat(environment("TRANSFORMERS_OFFLINE", value).offline()).isEqualTo(expected);
    }

    @Test
    void endpoint_losesTheSlashAtItsEnd() {
        assertThat(environment("HF_ENDPOINT", "https://mirror.example.org/hf/").endpoint())
                .isEqualTo(URI.create("https://mirror.example.org/hf"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"mirror.example.org", "ftp://a", "https://", "https://a b", "https://a/?q"})
    void endpointThatIsNone_isRefused(String value) {
        assertThatThrownBy(() -> environment("HF_ENDPOINT", value).endpoint())
                .isInstanceOf(HubException.class)
                .hasMessageStartingWith("HF_ENDPOINT is '" + value + "'");
    }

    @ParameterizedTest
    @CsvSource({
        "https://name:secret@mirror.example.org, https://***@mirror.example.org",
        "https://name:secret@ mirror.example.org, https://***@ mirror.example.org",
        "https://name:sec@/ret@mirror.example.org, https://***@mirror.example.org",
        "name:secret@mirror.example.org, ***@mirror.example.org"
    })
    void endpointWithAPassword_isRefusedWithoutShowingIt(String value, String shown) {
        assertThatThrownBy(() -> environment("HF_ENDPOINT", value).endpoint())
                .isInstanceOf(HubException.class)
                .hasMessageStartingWith("HF_ENDPOINT is '" + shown + "'")
                .hasNoCause();
    }

    @Test
    void proxyThatIsNone_isRefusedWithoutShowingIt() {
        assertThatThrownBy(() ->
                        environment("HTTPS_PROXY", "socks5://name:secret@proxy").proxies())
                .isInstanceOf(HubException.class)
                .hasMessageStartingWith("HTTPS_PROXY is not the address of an http proxy")
                .hasMessageNotContaining("secret");
    }

    @Test
    void socksProxyForAll_isNotUsed() {
        assertThat(environment("ALL_PROXY", "socks5://proxy:1080").proxies()).isEmpty();
        assertThat(environment("all_proxy", "socks5h://proxy:1080", "HTTPS_PROXY", "http://secure:3128")
                        .proxies()
                        .orElseThrow()
                        .select(URI.create("http://hub.example.org/")))
                .containsExactly(Proxy.NO_PROXY);
    }
}
