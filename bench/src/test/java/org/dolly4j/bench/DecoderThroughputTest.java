package org.dolly4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dolly4j.bench.RandomCheckpoint.Format;
import org.dolly4j.checkpoint.DType;
import org.dolly4j.runtime.ModelOptions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DecoderThroughputTest {
    @TempDir
    private Path folder;

    /** The answers to requests, without the line that says what the worker is. */
    private List<JsonObject> ask(String... requests) throws IOException {
        Path checkpoint = folder.resolve("checkpoint");
        RandomCheckpoint.write(checkpoint, ModelShape.TINY, Format.SAFETENSORS, DType.BFLOAT16, 0.2, 0, 2);
        ByteArrayOutputStream answers = new ByteArrayOutputStream();
        DecoderThroughput.serve(
                checkpoint,
                new ModelOptions(WeightType.FLOAT32, Backend.KERNELS, "cpu", 1, false),
                new StringReader(String.join("\n", requests)),
                new PrintStream(answers, true, StandardCharsets.UTF_8));
        return answers.toString(StandardCharsets.UTF_8)
                .lines()
                .skip(1)
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
    }

    private FloatBuffer floats(String file) throws IOException {
        return ByteBuffer.wrap(Files.readAllBytes(folder.resolve(file)))
                .order(ByteOrder.LITTLE_ENDIAN)
                .asFloatBuffer();
    }

    @Test
    void logitsOfDecodedTokens_areThoseOfTheWholePrompt() throws IOException {
        String request = "{\"op\": \"logits\", \"prompt\": [%s], \"next\": [%s], \"path\": \"%s\"}";
        assertThat(ask(
                        request.formatted("5, 6, 7", "8, 9", folder.resolve("decoded")),
                        request.formatted("5, 6, 7, 8, 9", "", folder.resolve("whole"))))
                .allMatch(answer -> answer.size() == 0);
        FloatBuffer decoded = floats("decoded");
        FloatBuffer whole = floats("whole");
        int vocabulary = whole.remaining();
        assertThat(decoded.remaining()).isEqualTo(3 * vocabulary);
        for (int i = 0; i < vocabulary; i++) {
            assertThat(decoded.get(2 * vocabulary + i)).isCloseTo(whole.get(i), within(1e-4f));
        }
    }

    @Test
    void turns_lastAsLongAsAsked_andCountTheirTokens() throws IOException {
        List<JsonObject> answers = ask(
                "{\"op\": \"prefill\", \"tokens\": 300, \"seconds\": 0}",
                "{\"op\": \"decode\", \"batch\": 3, \"context\": 20, \"steps\": 4, \"seconds\": 0}",
                "{\"op\": \"decode\", \"batch\": 3, \"context\": 20, \"steps\": 4, \"seconds\": 0.2}");
        assertThat(answers.get(0).get("tokens").getAsInt()).isEqualTo(300);
        assertThat(answers.get(1).get("tokens").getAsInt())
                .as("no time: one step")
                .isEqualTo(3);
        assertThat(answers.get(2).get("seconds").getAsDouble()).isGreaterThanOrEqualTo(0.2);
        assertThat(answers.get(2).get("tokens").getAsInt() % 3).isZero();
        assertThat(answers.get(2).get("tokens").getAsInt())
                .as("more than one run of 4 steps")
                .isGreaterThan(3 * 4);
    }

    @Test
    void requestThatFails_isAnsweredWithTheReason() throws IOException {
        assertThat(ask("{\"op\": \"sing\"}").get(0).get("error").getAsString()).contains("sing");
    }
}
