package org.dolly4j.prompt;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A prompt cut where the template's own special tokens stand, so that nobody's text can forge one.
 *
 * @param segments in order; never two texts in a row, so that each text is encoded as one piece
 */
public record Prompt(List<Segment> segments) {
    /** Joins neighbouring texts and drops empty ones. */
    public Prompt {
        List<Segment> joined = new ArrayList<>();
        for (Segment segment : segments) {
            int last = joined.size() - 1;
            if (segment.kind() == Kind.TEXT && segment.text().isEmpty()) {
                continue;
            }
            if (segment.kind() == Kind.TEXT && last >= 0 && joined.get(last).kind() == Kind.TEXT) {
                joined.set(last, Segment.text(joined.get(last).text() + segment.text()));
            } else {
                joined.add(segment);
            }
        }
        segments = List.copyOf(joined);
    }

    /** The whole prompt as text. */
    public String text() {
        return segments.stream().map(Segment::text).collect(Collectors.joining());
    }

    /** What a segment is. */
    public enum Kind {
        /** A special token of the template. */
        KEY,
        /** Anything else. */
        TEXT
    }

    /**
     * A part of a prompt.
     *
     * @param kind special token or text
     * @param text the token's text, or the text
     */
    public record Segment(Kind kind, String text) {
        static Segment key(String text) {
            return new Segment(Kind.KEY, text);
        }

        static Segment text(String text) {
            return new Segment(Kind.TEXT, text);
        }
    }
}
