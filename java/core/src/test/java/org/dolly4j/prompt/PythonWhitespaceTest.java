package org.dolly4j.prompt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class PythonWhitespaceTest {
    /** The 29 code points for which Python's str.isspace() is true. */
    private static final String SPACES = "\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u2001\u2002"
            + "\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000";

    @Test
    void everyCharacter_isSpaceExactlyIfPythonSaysSo_inBothForms() {
        Pattern pattern = Pattern.compile("[" + PythonWhitespace.CLASS + "]");
        for (int c = 0; c <= Character.MAX_VALUE; c++) {
            boolean expected = SPACES.indexOf(c) >= 0;
            assertThat(PythonWhitespace.is((char) c)).as("U+%04X", c).isEqualTo(expected);
            assertThat(pattern.matcher(String.valueOf((char) c)).matches())
                    .as("U+%04X by pattern", c)
                    .isEqualTo(expected);
        }
    }
}
