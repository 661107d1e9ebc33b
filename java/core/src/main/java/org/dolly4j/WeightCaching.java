package org.dolly4j;

/** Whether packed weights are kept on disk, so that the next start maps them instead of reading the checkpoint. */
public enum WeightCaching {
    /** Those that take long to make are: int8 and int4, of models with at least 100 million weights. */
    AUTO,
    /** All are that the kernels compute with. */
    ON,
    /** None are, and none are looked for. */
    OFF
}
