package org.dolly4j.bench;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Options of a tool's command line, each a name and a value. What is wrong is an {@link IllegalArgumentException}. */
final class ToolOptions {
    private final Map<String, String> values = new HashMap<>();

    /**
     * Takes a command line apart.
     *
     * @param names of the options that there are, for example {@code --out}
     */
    ToolOptions(String[] args, List<String> names) {
        for (int i = 0; i < args.length; i += 2) {
            if (!names.contains(args[i])) {
                throw new IllegalArgumentException("Unknown option '" + args[i] + "'.");
            }
            if (i + 1 == args.length) {
                throw new IllegalArgumentException(args[i] + " needs a value.");
            }
            values.put(args[i], args[i + 1]);
        }
    }

    Optional<String> text(String option) {
        return Optional.ofNullable(values.get(option));
    }

    String required(String option) {
        return text(option).orElseThrow(() -> new IllegalArgumentException(option + " is missing."));
    }

    /** The value of that label, or else the other one. */
    <T> T choose(String option, T otherwise, T[] choices, Function<T, String> labelOf) {
        return text(option).isPresent() ? choose(option, choices, labelOf) : otherwise;
    }

    /** The value of that label, which must be given. */
    <T> T choose(String option, T[] choices, Function<T, String> labelOf) {
        Optional<String> label = text(option);
        return Arrays.stream(choices)
                .filter(value -> label.filter(labelOf.apply(value)::equals).isPresent())
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(option + " must be one of "
                        + Arrays.stream(choices).map(labelOf).collect(Collectors.joining(", "))
                        + label.map(text -> ", not '" + text + "'.").orElse(".")));
    }

    /** A whole number of at least {@code min}. */
    long number(String option, long otherwise, long min) {
        String text = values.getOrDefault(option, Long.toString(otherwise));
        try {
            long number = Long.parseLong(text);
            if (number >= min) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(option + " must be a whole number, not '" + text + "'.", e);
        }
        throw new IllegalArgumentException(option + " must be at least " + min + ", not " + text + ".");
    }

    /** A finite number of more than 0. */
    double positive(String option, double otherwise) {
        String text = values.getOrDefault(option, Double.toString(otherwise));
        try {
            double number = Double.parseDouble(text);
            if (number > 0 && number < Double.POSITIVE_INFINITY) {
                return number;
            }
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(option + " must be a number, not '" + text + "'.", e);
        }
        throw new IllegalArgumentException(option + " must be more than 0 and finite, not " + text + ".");
    }

    /** How a constant is called on the command line. */
    static String label(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
