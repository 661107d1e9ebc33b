package org.dolly4j.check;

import java.util.Locale;
import org.dolly4j.runtime.ModelOptions.WeightType;

/**
 * What quantised weights may lose: the KL divergence of a checkpoint's logits from Hugging Face's in float32, on
 * average over the tokens of the prompts.
 */
enum QuantisationCheck {
    INT8(WeightType.INT8, 0.003, 0.03),
    INT4(WeightType.INT4, 0.25, 1.5);

    private final WeightType type;
    private final double bound;
    private final double boundWithOutliers;

    QuantisationCheck(WeightType type, double bound, double boundWithOutliers) {
        this.type = type;
        this.bound = bound;
        this.boundWithOutliers = boundWithOutliers;
    }

    WeightType type() {
        return type;
    }

    /**
     * Compares and reports.
     *
     * @param decoder of a model that is held in this type
     * @param outliers whether the checkpoint is made to have outlier channels
     */
    void run(SequenceDecoder decoder, GoldenTensors expected, CheckReport report, boolean outliers) {
        Divergence divergence = new Divergence();
        for (int i = 0; i < ModelCheck.PROMPTS; i++) {
            int[] prompt = expected.ints("prompt." + i + ".ids");
            float[] logits = decoder.logits(prompt, prompt.length);
            divergence.add(expected.floats("prompt." + i + ".logits", logits.length), logits, decoder.vocabSize());
        }
        String name = name().toLowerCase(Locale.ROOT);
        double most = outliers ? boundWithOutliers : bound;
        double mean = divergence.mean();
        report.check(name, () -> mean <= most ? "" : "the mean KL divergence from float32 is " + mean + " > " + most);
        report.figure("%s: mean KL divergence from float32 %.2g (at most %s), of a row at most %.2g; the same most"
                        .formatted(name, mean, most, divergence.largest())
                + " likely token in %d of %d rows".formatted(divergence.sameBest(), divergence.rows()));
    }
}
