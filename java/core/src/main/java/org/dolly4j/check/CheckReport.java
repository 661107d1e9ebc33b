package org.dolly4j.check;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.dolly4j.DollyException;

/** What a part of a goldens folder came to: counts, and a line for each failure and each thing skipped. */
public final class CheckReport {
    private final String part;
    private final List<String> failures = new ArrayList<>();
    private final List<String> skips = new ArrayList<>();
    private final List<String> figures = new ArrayList<>();
    private int passed;

    /** @param part name of the part, for example {@code tokenizer/encode_fuzz} */
    public CheckReport(String part) {
        this.part = part;
    }

    /** Counts a case that came out as expected. */
    public void pass() {
        passed++;
    }

    /**
     * Counts a case that did not.
     *
     * @param name the case
     * @param why what was expected and what was found
     */
    public void fail(String name, String why) {
        failures.add(name + ": " + why);
    }

    /**
     * Counts a case that was not run.
     *
     * @param name the case
     * @param why reason a user understands
     */
    public void skip(String name, String why) {
        skips.add(name + ": " + why);
    }

    /**
     * Runs a case and counts it.
     *
     * @param name the case
     * @param difference says what differs, or nothing if the case came out as expected; throws if it cannot be run
     */
    void check(String name, Supplier<String> difference) {
        attempt(name, () -> {
            String why = difference.get();
            if (why.isEmpty()) {
                pass();
            } else {
                fail(name, why);
            }
        });
    }

    /** Runs what counts for itself; whatever it throws is a failure, and what comes after it can still be checked. */
    void attempt(String name, Runnable cases) {
        try {
            cases.run();
        } catch (DollyException e) {
            fail(name, String.valueOf(e.getMessage()));
        } catch (RuntimeException e) {
            fail(name, e.toString());
        }
    }

    /** Adds a measured figure worth showing, for example a largest difference beside its tolerance. */
    public void figure(String line) {
        figures.add(line);
    }

    /** Name of the part. */
    public String part() {
        return part;
    }

    /** Number of cases that came out as expected. */
    public int passed() {
        return passed;
    }

    /** A line for each failure. */
    public List<String> failures() {
        return List.copyOf(failures);
    }

    /** A line for each case that was not run. */
    public List<String> skips() {
        return List.copyOf(skips);
    }

    /** Measured figures. */
    public List<String> figures() {
        return List.copyOf(figures);
    }
}
