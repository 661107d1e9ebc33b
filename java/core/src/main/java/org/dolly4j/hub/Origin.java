package org.dolly4j.hub;

import java.net.URI;
import java.util.Locale;

/**
 * Who is asked at an address: secrets meant for one origin are not shown to another.
 *
 * @param scheme http or https
 * @param host in lower case
 * @param port also where the address leaves it out
 */
record Origin(String scheme, String host, int port) {
    private static final String HTTP = "http";
    private static final String HTTPS = "https";

    /** Whether something is a complete http or https address, without a name or password in it. */
    static boolean isWeb(URI uri) {
        String scheme = uri.getScheme();
        return (HTTP.equalsIgnoreCase(scheme) || HTTPS.equalsIgnoreCase(scheme))
                && uri.getHost() != null
                && uri.getRawUserInfo() == null;
    }

    /** The origin of an address for which {@link #isWeb} holds. */
    static Origin of(URI uri) {
        String scheme = uri.getScheme().toLowerCase(Locale.ROOT);
        int port = uri.getPort() >= 0 ? uri.getPort() : scheme.equals(HTTPS) ? 443 : 80;
        return new Origin(scheme, uri.getHost().toLowerCase(Locale.ROOT), port);
    }

    /** Whether nobody on the way can read or change what is said. */
    boolean isSecure() {
        return scheme.equals(HTTPS);
    }
}
