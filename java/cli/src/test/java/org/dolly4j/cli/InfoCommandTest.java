package org.dolly4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;

class InfoCommandTest {
    @Test
    void text_namesModelSizesAndWhatRunsIt() {
        Run run = Run.of("info", "--dtype", "float32");

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines())
                .contains(
                        "model           the demo model",
                        "architecture    gpt_neox",
                        "parameters      6,836,224",
                        "context         512 tokens",
                        "dtype           float32",
                        "backend         kernels on cpu")
                .anyMatch(line ->
                        line.matches("CPU threads +[1-9][0-9]*, instruction set (generic|avx2|avx512(_bf16)?|amx)"))
                .anyMatch(line -> line.matches("weights +2[67]\\.[0-9] MiB"))
                .anyMatch(line -> line.matches("KV cache .* tokens, float32"));
    }

    @Test
    void kvCacheDtype_isThatOfTheOption() {
        assertThat(Run.of("info", "--dtype", "bfloat16", "--kv-cache-dtype", "float32")
                        .lines())
                .contains("dtype           bfloat16")
                .anyMatch(line -> line.matches("KV cache .* tokens, float32"));
    }

    @Test
    void withLibtorch_itsFileIsNamed() {
        assertThat(Run.of("info", "--backend", "libtorch").lines())
                .contains("backend         libtorch on cpu")
                .anyMatch(line -> line.matches("libtorch +/.*libtorch_cpu.so"));
    }

    @Test
    void json_holdsTheSameInBytes() {
        JsonObject info = JsonParser.parseString(Run.of("info", "--json").out()).getAsJsonObject();

        assertThat(info.get("name").getAsString()).isEqualTo("dolly-demo");
        assertThat(info.get("parameters").getAsLong()).isEqualTo(6_836_224);
        assertThat(info.get("dtype").getAsString()).isEqualTo("bfloat16");
        assertThat(info.get("weight_bytes").getAsLong()).isBetween(13_600_000L, 13_800_000L);
        assertThat(info.get("kv_cache_dtype").getAsString()).isEqualTo("bfloat16");
        assertThat(info.get("context_length").getAsInt()).isEqualTo(512);
    }
}
