package org.dolly4j.sampling;

/** Removes candidates by their scores, or changes the scores; at least one possible candidate stays. */
@FunctionalInterface
interface LogitsWarper {
    /**
     * Warps the distribution of one position.
     *
     * @param candidates those that are left, changed in place; the greatest score is finite
     */
    void warp(Candidates candidates);
}
