package org.dolly4j;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dolly4j.sampling.SamplingOptions;

/** Tiny checkpoints of random weights, and what tests ask them. */
final class TinyDolly {
    /** Now and then ends an answer by itself. */
    static final Path CHECKPOINT = TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-ends");

    /** Answers otherwise. */
    static final Path OTHER_CHECKPOINT = TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-plain");

    static final String QUESTION = "Tell me a story about a fox.";
    static final int CONTEXT = 2048;

    private TinyDolly() {}

    static DollyOptions options() {
        return DollyOptions.builder()
                .tokenizer(TestTokenizers.published())
                .threads(1)
                .build();
    }

    static GenerationRequest.Builder ask(int maxNewTokens) {
        return GenerationRequest.forInstruction(QUESTION)
                .maxNewTokens(maxNewTokens)
                .seed(7);
    }

    /** Some 1,900 tokens, four times, that no end key cuts short and none can guess. */
    static GenerationRequest endless() {
        return ask(1900)
                .sequences(4)
                .sampling(SamplingOptions.builder()
                        .doSample(true)
                        .minNewTokens(1900)
                        .build())
                .build();
    }

    static void copyCheckpoint(Path folder) throws IOException {
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.copy(CHECKPOINT.resolve(file), folder.resolve(file));
        }
    }
}
