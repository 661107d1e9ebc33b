package org.dolly4j.engine;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** One request, for JDK Flight Recorder, from its submission to its end. */
@Name("org.dolly4j.Request")
@Label("Request")
@Category("dolly4j")
@Description("A request, from its submission to its end")
@StackTrace(false)
final class RequestEvent extends Event {
    @Label("Number")
    @Description("Number of the request since the model was loaded, as in the log")
    long number;

    @Label("Prompt Tokens")
    int promptTokens;

    @Label("Cached Tokens")
    @Description("Tokens of the prompt that were found in the prefix cache when the request began")
    int cachedTokens;

    @Label("Generated Tokens")
    @Description("Tokens of all sequences together")
    long generatedTokens;

    @Label("Sequences")
    @Description("Answers that were asked for")
    int sequences;

    @Label("Queue Time")
    @Description("From the submission to the first step, or to the end if there was none")
    @Timespan(Timespan.NANOSECONDS)
    long queueTime;

    @Label("First Token Time")
    @Description("From the submission to the first token, or to the end if there was none")
    @Timespan(Timespan.NANOSECONDS)
    long firstTokenTime;

    @Label("Ending")
    @Description("COMPLETED, CANCELLED, DEADLINE or FAILED")
    String ending;
}
