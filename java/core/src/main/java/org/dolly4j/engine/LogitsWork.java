package org.dolly4j.engine;

import java.nio.FloatBuffer;
import org.dolly4j.sampling.Candidates;

/** What is done with rows of a step's logits; different works may be done by different threads at once. */
interface LogitsWork {
    /**
     * Does it; what goes wrong is kept for the engine's thread.
     *
     * @param logits of the whole step, of which the position is changed
     * @param workspace of this thread
     */
    void draw(FloatBuffer logits, Candidates workspace);
}
