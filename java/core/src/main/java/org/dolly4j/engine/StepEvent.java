package org.dolly4j.engine;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** One step of an engine, for JDK Flight Recorder. Its duration is that of the backend. */
@Name("org.dolly4j.Step")
@Label("Step")
@Category("dolly4j")
@Description("One step of the decoder: tokens of one or more sequences pass through the model together")
@StackTrace(false)
final class StepEvent extends Event {
    @Label("Rows")
    @Description("Tokens that passed through the model")
    int rows;

    @Label("Prefill Rows")
    @Description("Those of the rows that read a token of a prompt")
    int prefillRows;

    @Label("Sequences")
    @Description("Sequences that the rows belong to")
    int sequences;

    @Label("Logits Rows")
    @Description("Rows after which a token was drawn")
    int logitsRows;

    @Label("Waiting Requests")
    @Description("Requests that had not begun at the end of the step")
    int waitingRequests;

    @Label("KV Blocks in Use")
    @Description("Blocks of the KV cache, of 16 tokens each, that sequences hold")
    int usedKvBlocks;
}
