package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.SoftAssertions;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.WeightType;
import org.dolly4j.sampling.SamplingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.EnumSource;

/** The demo checkpoint, as its evaluation set says it answers. */
@ParameterizedClass
@EnumSource(Backend.class)
class DemoModelTest {
    private static final Path MODEL = Path.of("../demo-model/src/main/resources/org/dolly4j/demo");
    private static final Path EVALUATION = Path.of("src/test/resources/demo/dolly-demo-eval.jsonl");

    @Parameter
    Backend backend;

    @Test
    void inFloat32_all70GreedyAnswersAreTheEvaluationsTokenForToken() throws Exception {
        List<JsonObject> cases = Files.readAllLines(EVALUATION).stream()
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
        assertThat(cases).hasSize(70);
        DollyOptions options = DollyOptions.builder()
                .dtype(WeightType.FLOAT32)
                .backend(backend)
                .build();
        SoftAssertions softly = new SoftAssertions();
        try (Dolly dolly = Dolly.load(MODEL, options)) {
            for (JsonObject one : cases) {
                String instruction = one.get("instruction").getAsString();
                int[] expected = one.getAsJsonArray("greedy_ids").asList().stream()
                        .mapToInt(id -> id.getAsInt())
                        .toArray();
                GenerationResult result = dolly.generate(GenerationRequest.forInstruction(instruction)
                        .sampling(SamplingOptions.greedy())
                        .build());
                softly.assertThat(result.generations().get(0).tokenIds())
                        .as(instruction)
                        .isEqualTo(expected);
                softly.assertThat(result.text())
                        .as(instruction)
                        .isEqualTo(one.get("greedy").getAsString());
            }
        }
        softly.assertAll();
    }
}
