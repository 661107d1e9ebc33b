package org.dolly4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The library where parts are missing that it can do without; each in a JVM of its own. */
@Timeout(120)
class OptionalPartsTest {
    /** Loads a model, answers a request, and says what there is. */
    static final class Answer {
        public static void main(String[] arguments) {
            System.out.println("jdk.jfr "
                    + ModuleLayer.boot().findModule("jdk.jfr").isPresent() + ", micrometer " + hasMicrometer());
            DollyOptions options = DollyOptions.builder()
                    .tokenizer(TestTokenizers.published())
                    .threads(1)
                    .build();
            try (Dolly dolly =
                    Dolly.load(TestTokenizers.resource("/goldens/pipeline/checkpoints/dolly-tiny-ends"), options)) {
                GenerationRequest request = GenerationRequest.forInstruction("Tell me a story.")
                        .maxNewTokens(3)
                        .build();
                int tokens = dolly.generate(request).completionTokens();
                System.out.println(
                        "as counted " + (tokens > 0 && dolly.metrics().tokens().generatedTokens() == tokens));
            }
        }

        private static boolean hasMicrometer() {
            try {
                Class.forName("io.micrometer.core.instrument.MeterRegistry");
                return true;
            } catch (ClassNotFoundException e) {
                return false;
            }
        }
    }

    @Test
    void withoutMicrometer_everythingElseWorks() throws Exception {
        JavaProcess process = new JavaProcess(Answer.class);
        process.classPath = Arrays.stream(process.classPath.split(File.pathSeparator, -1))
                .filter(entry -> !new File(entry).getName().startsWith("micrometer"))
                .collect(Collectors.joining(File.pathSeparator));
        assertThat(process.output()).contains("jdk.jfr true, micrometer false", "as counted true");
    }

    @Test
    void runtimeWithoutFlightRecorder_doesEverythingElse() throws Exception {
        JavaProcess process = new JavaProcess(Answer.class);
        process.options.addAll(
                List.of("--limit-modules", "java.logging,java.management,java.net.http,java.xml,jdk.unsupported"));
        assertThat(process.output()).contains("jdk.jfr false, micrometer true", "as counted true");
    }
}
