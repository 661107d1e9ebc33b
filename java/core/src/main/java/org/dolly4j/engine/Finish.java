package org.dolly4j.engine;

/** Why a sequence has no more tokens. */
public enum Finish {
    /** Its last token is one of {@link RequestSpec#endIds()}. */
    END_TOKEN,
    /** Its last token is one of {@link RequestSpec#stopIds()}. */
    STOP_TOKEN,
    /** {@link RequestSpec#stopCondition()} said so after its last token. */
    STOP_CONDITION,
    /** It has {@link RequestSpec#maxNewTokens()} tokens. */
    LENGTH,
    /** {@link RequestSpec#deadline()} has passed. */
    DEADLINE,
    /** The request was cancelled. */
    CANCELLED
}
