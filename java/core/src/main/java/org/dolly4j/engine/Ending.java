package org.dolly4j.engine;

/** How a request ended. */
public enum Ending {
    /** All of its sequences came to their ends. */
    COMPLETED,
    /** It was cancelled. */
    CANCELLED,
    /** {@link RequestSpec#deadline()} passed. */
    DEADLINE,
    /** A step or the drawing of a token failed, or the engine was closed. */
    FAILED
}
