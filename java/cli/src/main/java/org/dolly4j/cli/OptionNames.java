package org.dolly4j.cli;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/** The library names options as Java does; someone at a command line knows them by other names. */
final class OptionNames {
    /** Advice that is worded for Java, and its meaning here. */
    private static final Map<String, String> ADVICE = Map.of(
            "set doSample = false", "give --greedy",
            "turn memoryCheck off", "give --no-memory-check",
            "(dtype, allowedDtypes)", "(--dtype, --allow-dtype)",
            "set truncate = HEAD or TAIL", "give --truncate head or tail");

    private static final Pattern LEADING = Pattern.compile("^(temperature|device|threads|sequences|beams)\\b");
    private static final Pattern CAMEL_CASE = Pattern.compile("\\b(?:topK|topP|minP|typicalP|(?:epsilon|eta)Cutoff"
            + "|repetitionPenalty|noRepeatNgramSize|badWordsIds|minLength|(?:min|max)NewTokens|suppressTokens"
            + "|beginSuppressTokens|kvCacheTokens|portableBits|weightCache|cacheDirectory|cacheSize|stopTokenIds"
            + "|sequenceBias|forcedBosTokenId|forcedEosTokenIds|lengthPenalty|topLogprobs"
            + "|stopStrings|maxShardBytes|allowedDtypes)\\b");

    private OptionNames() {}

    /** The message with options named as on the command line. */
    static String inMessage(String message) {
        String result = String.valueOf(message);
        for (Map.Entry<String, String> advice : ADVICE.entrySet()) {
            result = result.replace(advice.getKey(), advice.getValue());
        }
        result = LEADING.matcher(result).replaceFirst(match -> option(match.group()));
        return CAMEL_CASE.matcher(result).replaceAll(match -> option(match.group()));
    }

    private static String option(String javaName) {
        return switch (javaName) {
            case "sequences" -> "-n";
            case "beams" -> "--num-beams";
            case "forcedEosTokenIds" -> "--forced-eos-token-id";
            case "cacheDirectory" -> "--cache-dir";
            case "stopTokenIds" -> "--stop-token-id";
            case "stopStrings" -> "--stop";
            case "allowedDtypes" -> "--allow-dtype";
            case "maxShardBytes" -> "--max-shard-size";
            default -> "--" + javaName.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
        };
    }
}
