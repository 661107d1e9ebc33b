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

    @Test
    void plan_showsTheMemoryOfEveryType_andLoadsNothing() {
        Run run = Run.of("info", "--plan");

        assertThat(run.exitCode()).isZero();
        assertThat(run.lines()).hasSize(6);
        assertThat(run.lines().get(0)).matches("memory +[0-9.]+ [GM]iB available by the .*");
        assertThat(run.lines().get(1)).matches("DTYPE +WEIGHTS +KV CACHE +WORKSPACE +OTHER +TOTAL");
        assertThat(run.lines().get(2)).matches("float32 +26\\.1 MiB +24\\.0 MiB .*MiB");
        assertThat(run.lines().get(3)).matches("bfloat16 +13\\.1 MiB +12\\.0 MiB .*MiB  chosen");
        assertThat(run.err()).isEmpty();
    }

    @Test
    void modelThatDoesNotFit_isRefusedUnderItsFigures() {
        String model =
                Goldens.FOLDER.resolve("models/checkpoints/neox-v5config-odd").toString();
        Run run = Run.of("info", model, "--kv-cache-tokens", "1073741824", "--allow-dtype", "float32,int8");

        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.lines())
                .filteredOn(line -> line.endsWith("does not fit"))
                .hasSize(4);
        assertThat(run.err())
                .contains("The model does not fit into memory: float32 takes", "; int8 takes", "--kv-cache-tokens")
                .contains("give --no-memory-check");
    }

    @Test
    void modelNamedTwice_isWrongUse() {
        assertThat(Run.of("info", "a", "--model", "b").exitCode()).isEqualTo(2);
    }

    @Test
    void jsonPlan_isInBytes() {
        JsonObject info = JsonParser.parseString(
                        Run.of("info", "--json", "--plan", "--dtype", "int8").out())
                .getAsJsonObject();

        assertThat(info.get("available_bytes").getAsLong()).isPositive();
        assertThat(info.getAsJsonArray("memory_plans")).hasSize(4);
        JsonObject int8 = info.getAsJsonArray("memory_plans").get(2).getAsJsonObject();
        assertThat(int8.get("dtype").getAsString()).isEqualTo("int8");
        assertThat(int8.get("weight_bytes").getAsLong()).isBetween(7_900_000L, 8_100_000L);
        assertThat(int8.get("chosen").getAsBoolean()).isTrue();
        assertThat(info.has("load_seconds")).isFalse();
    }
}
