package org.dolly4j.hub;

import java.net.URI;
import java.net.http.HttpHeaders;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Optional;
import java.util.Set;
import org.dolly4j.HubException;

/** Says what an answer that is none means, and what to do about it. */
final class Refusals {
    /** Request timeout, too many requests, and failures of a server or of one behind it. */
    private static final Set<Integer> PASSING = Set.of(408, 429, 500, 502, 503, 504);

    private static final int PROXY_AUTHENTICATION = 407;
    private static final int MAX_TEXT = 300;

    private final HubOptions options;
    private final boolean hasToken;
    private final HubRepository repository;

    /** @param hasToken whether the hub is shown one */
    Refusals(HubOptions options, boolean hasToken, HubRepository repository) {
        this.options = options;
        this.hasToken = hasToken;
        this.repository = repository;
    }

    /**
     * The exception of a status: a {@link HubException} if the hub refuses it, else an {@link UnavailableException}.
     *
     * @param uri what was asked
     * @param hubItself whether the hub answered, rather than a host that it pointed to
     * @param what what was asked for, for the message
     * @throws TransferException if it may pass; so it may where an address that the hub had given has expired
     */
    RuntimeException refusal(int status, HttpHeaders headers, URI uri, boolean hubItself, String what)
            throws TransferException {
        if (PASSING.contains(status)) {
            Optional<Duration> wait = headers.firstValue("Retry-After").flatMap(Refusals::wait);
            throw new TransferException(passing(status, uri, wait), wait);
        }
        if (status == PROXY_AUTHENTICATION) {
            return proxyRefusal(status, uri);
        }
        if (!hubItself) {
            throw new TransferException(uri.getHost() + " answered " + status + " for " + what);
        }
        return switch (status) {
            case 401 -> new HubException(unauthorised());
            case 403 -> new HubException(forbidden());
            case 404 -> new HubException(notFound(headers, what));
            default ->
                new UnavailableException(options.endpoint() + " answered " + status + " for " + what + said(headers)
                        + ". If that is not the Hugging Face hub, correct HF_ENDPOINT.");
        };
    }

    /**
     * The exception of a status that a proxy answers in place of an https host.
     *
     * @throws TransferException if it may pass
     */
    RuntimeException proxyRefusal(int status, URI uri) throws TransferException {
        if (PASSING.contains(status)) {
            throw new TransferException(
                    "The proxy for " + uri.getHost() + " cannot reach it at the moment (" + status + ")");
        }
        return new UnavailableException(
                status == PROXY_AUTHENTICATION
                        ? "The proxy for " + uri.getHost() + " asks who you are (407). Put name and password into its"
                                + " address: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT. Java must also be allowed to"
                                + " send them: -Djdk.http.auth.tunneling.disabledSchemes= (with nothing behind it)."
                        : "The proxy for " + uri.getHost() + " does not let you through to it (" + status
                                + "). Ask those who run it, name the host in NO_PROXY if it can be reached without, or"
                                + " set HF_ENDPOINT to a mirror that can.");
    }

    private static String passing(int status, URI uri, Optional<Duration> wait) {
        if (status == 429) {
            return uri.getHost() + " has had too many requests from here (429)"
                    + wait.map(time -> " and asks to wait " + ResponseBody.seconds(time) + " seconds")
                            .orElse("");
        }
        return uri.getHost() + " has a failure of its own (" + status + ")";
    }

    private String unauthorised() {
        return hasToken
                ? "The hub does not take the access token for " + repository.id() + " (401). Make a new one at "
                        + options.endpoint() + "/settings/tokens and set HF_TOKEN to it."
                : "The hub has no model " + repository.id() + ", or one that is private (401). Check the id; for a"
                        + " private model set HF_TOKEN to an access token of someone who may read it.";
    }

    private String forbidden() {
        String page = options.endpoint() + "/" + repository.id();
        return hasToken
                ? "The access token may not read " + repository.id() + " (403). Accept the model's terms at " + page
                        + " as the token's owner, or use a token that has the right to read it."
                : "The model " + repository.id() + " is not open to all (403). Accept its terms at " + page
                        + " and set HF_TOKEN to an access token of yours.";
    }

    private String notFound(HttpHeaders headers, String what) {
        return switch (headers.firstValue("X-Error-Code").orElse("")) {
            case "RevisionNotFound" ->
                "The model " + repository.id() + " has no revision '" + repository.revision()
                        + "' (404). Its branches and tags are listed at " + options.endpoint() + "/" + repository.id()
                        + "/tree/main.";
            case "EntryNotFound" ->
                "The model " + repository.id() + " has no " + what + " at revision '" + repository.revision()
                        + "' (404). Try again: the repository may have changed just now.";
            default ->
                "The hub at " + options.endpoint() + " has no model " + repository.id() + ", or no revision '"
                        + repository.revision() + "' of it (404). Check the id; for a private model set HF_TOKEN to an"
                        + " access token of someone who may read it.";
        };
    }

    private static String said(HttpHeaders headers) {
        return headers.firstValue("X-Error-Message")
                .map(text -> " (" + printable(text) + ")")
                .orElse("");
    }

    /** Text of a server for a message: without control characters, and not long. */
    static String printable(String text) {
        String cut = text.length() <= MAX_TEXT ? text : text.substring(0, MAX_TEXT) + "...";
        return cut.replaceAll("\\p{Cntrl}", "?");
    }

    /** Seconds or a date, by RFC 9110. */
    private static Optional<Duration> wait(String value) {
        if (value.matches("[0-9]{1,9}")) {
            return Optional.of(Duration.ofSeconds(Long.parseLong(value)));
        }
        try {
            ZonedDateTime time = ZonedDateTime.parse(value, DateTimeFormatter.RFC_1123_DATE_TIME);
            Duration wait = Duration.between(ZonedDateTime.now(time.getZone()), time);
            return Optional.of(wait.isNegative() ? Duration.ZERO : wait);
        } catch (DateTimeException e) {
            return Optional.empty();
        }
    }
}
