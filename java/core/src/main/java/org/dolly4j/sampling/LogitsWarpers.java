package org.dolly4j.sampling;

/**
 * The processors that look at the distribution alone, each with the meaning of Hugging Face's class of the same name.
 * All keep at least the best token.
 */
final class LogitsWarpers {
    private LogitsWarpers() {}

    /** Keeps the {@code k} best and those that tie with the last of them (Fan et al. 2018). */
    static LogitsWarper topK(int k) {
        return candidates -> candidates.retainBest(k);
    }

    /** Keeps the fewest best that reach probability {@code p} together (nucleus sampling, Holtzman et al. 2019). */
    static LogitsWarper topP(double p) {
        return candidates -> candidates.retainNucleus(p);
    }

    /** Keeps those with at least {@code minP} times the best probability (Nguyen et al. 2024). */
    static LogitsWarper minP(double minP) {
        double logMinP = StrictMath.log(minP);
        return candidates -> candidates.retainAtLeast(candidates.max() + logMinP);
    }

    /** Keeps the fewest most typical that reach probability {@code mass} together (Meister et al. 2022). */
    static LogitsWarper typical(double mass) {
        return candidates -> candidates.retainTypical(mass);
    }

    /** Keeps those with at least probability {@code epsilon} (Hewitt et al. 2022). */
    static LogitsWarper epsilon(double epsilon) {
        return candidates -> {
            candidates.sumWeights();
            retainProbable(candidates, epsilon);
        };
    }

    /**
     * Keeps those with at least probability min(epsilon, sqrt(epsilon) * exp(-entropy)), the entropy in nats (eta
     * sampling, Hewitt et al. 2022).
     */
    static LogitsWarper eta(double epsilon) {
        return candidates -> {
            candidates.sumWeightsWithMean();
            double entropy = candidates.meanBelowMax() + StrictMath.log(candidates.expSum());
            double eta = Math.min(epsilon, Math.sqrt(epsilon) * StrictMath.exp(-entropy));
            retainProbable(candidates, eta);
        };
    }

    /** Turns scores into log-probabilities. */
    static LogitsWarper normalization() {
        return candidates -> {
            candidates.sumWeights();
            candidates.subtract(candidates.max() + StrictMath.log(candidates.expSum()));
        };
    }

    private static void retainProbable(Candidates candidates, double probability) {
        float max = candidates.max();
        double least = max + StrictMath.log(probability * candidates.expSum());
        candidates.retainAtLeast(Math.min(least, max));
    }
}
