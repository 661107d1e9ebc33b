package org.dolly4j.cli;

import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import org.dolly4j.Truncate;
import org.dolly4j.WeightCaching;
import org.dolly4j.runtime.ModelOptions.Backend;
import org.dolly4j.runtime.ModelOptions.KvCacheType;
import org.dolly4j.runtime.ModelOptions.WeightType;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads one of a few constants by its name in lower case; iterates over the names. */
abstract class NameConverter<E extends Enum<E>> implements ITypeConverter<E>, Iterable<String> {
    private final E[] constants;

    NameConverter(Class<E> type) {
        constants = type.getEnumConstants();
    }

    /** The name of a constant on the command line. */
    static String name(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public E convert(String value) {
        return Arrays.stream(constants)
                .filter(constant -> name(constant).equals(value.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new TypeConversionException(
                        "expected " + String.join(" or ", names()) + ", found '" + value + "'"));
    }

    private List<String> names() {
        return Arrays.stream(constants).map(NameConverter::name).toList();
    }

    @Override
    public Iterator<String> iterator() {
        return names().iterator();
    }

    /** Names of backends. */
    static final class Backends extends NameConverter<Backend> {
        Backends() {
            super(Backend.class);
        }
    }

    /** Names of element types of weights. */
    static final class WeightTypes extends NameConverter<WeightType> {
        WeightTypes() {
            super(WeightType.class);
        }
    }

    /** Names of element types of the KV cache. */
    static final class KvCacheTypes extends NameConverter<KvCacheType> {
        KvCacheTypes() {
            super(KvCacheType.class);
        }
    }

    /** Names of when packed weights are kept. */
    static final class WeightCachings extends NameConverter<WeightCaching> {
        WeightCachings() {
            super(WeightCaching.class);
        }
    }

    /** Names of the ways to shorten a prompt. */
    static final class Truncations extends NameConverter<Truncate> {
        Truncations() {
            super(Truncate.class);
        }
    }
}
