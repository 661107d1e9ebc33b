package org.dolly4j.cli;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Numbers of bytes, to read and to write. */
final class ByteSize implements ITypeConverter<Long> {
    private static final Pattern SIZE = Pattern.compile("([0-9]+(?:\\.[0-9]+)?) *(?:([KMGT])(I?)B?|B?)");
    private static final String UNITS = "KMGT";

    @Override
    public Long convert(String value) {
        Matcher size = SIZE.matcher(value.toUpperCase(Locale.ROOT));
        if (!size.matches()) {
            throw new TypeConversionException(
                    "expected a number of bytes such as 20GB or 500MiB, found '" + value + "'");
        }
        BigDecimal bytes = new BigDecimal(size.group(1));
        if (size.group(2) != null) {
            int unit = size.group(3).isEmpty() ? 1000 : 1024;
            bytes = bytes.multiply(BigDecimal.valueOf(unit).pow(UNITS.indexOf(size.group(2)) + 1));
        }
        try {
            return bytes.setScale(0, RoundingMode.DOWN).longValueExact();
        } catch (ArithmeticException e) {
            throw new TypeConversionException("'" + value + "' is more than any disk holds");
        }
    }

    /** The number in MiB or GiB. */
    static String text(long bytes) {
        return bytes < 1L << 30
                ? String.format(Locale.ROOT, "%.1f MiB", bytes / 0x1p20)
                : String.format(Locale.ROOT, "%.2f GiB", bytes / 0x1p30);
    }
}
