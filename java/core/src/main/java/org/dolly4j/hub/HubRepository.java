package org.dolly4j.hub;

import java.util.regex.Pattern;

/**
 * A model repository of the hub at a revision.
 *
 * @param id {@code name} or {@code namespace/name}, by the rules of the hub: letters, digits, {@code -}, {@code _} and
 *     {@code .}, at most 96 characters
 * @param revision a branch, a tag, a pull request ({@code refs/pr/1}) or a commit. Only a commit of 40 hexadecimal
 *     digits means the same files for ever
 */
public record HubRepository(String id, String revision) {
    /** The branch that is meant if none is stated. */
    public static final String DEFAULT_REVISION = "main";

    private static final int MAX_ID = 96;
    private static final String NAME = "[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?";
    private static final Pattern ID = Pattern.compile(NAME + "(?:/" + NAME + ")?");

    /** It is a path in URLs and below refs/ of the cache. */
    private static final Pattern REVISION =
            Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._+@=-]*(?:/[A-Za-z0-9_][\\w.+@=-]*)*");

    private static final int MAX_REVISION = 200;
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

    /** @throws IllegalArgumentException if one of them breaks the rules */
    public HubRepository {
        if (!isId(id)) {
            throw new IllegalArgumentException("'" + id + "' is no id of a model on the hub, which are of the form"
                    + " namespace/name, such as databricks/dolly-v2-3b.");
        }
        if (revision.length() > MAX_REVISION
                || !REVISION.matcher(revision).matches()
                || revision.contains("..")
                || revision.endsWith(".lock")) {
            throw new IllegalArgumentException(
                    "'" + revision + "' is no revision: a branch, a tag or a commit is expected, such as main.");
        }
    }

    /** A repository at {@link #DEFAULT_REVISION}. */
    public static HubRepository of(String id) {
        return new HubRepository(id, DEFAULT_REVISION);
    }

    /** Whether a text has the form of an id. A relative path may have it too. */
    public static boolean isId(String text) {
        return text.length() <= MAX_ID
                && ID.matcher(text).matches()
                && !text.contains("--")
                && !text.contains("..")
                && !text.endsWith(".git");
    }

    /** Whether a text is a commit: 40 hexadecimal digits. */
    static boolean isCommit(String text) {
        return COMMIT.matcher(text).matches();
    }

    /** Name of its folder in the cache. */
    String folderName() {
        return "models--" + id.replace("/", "--");
    }
}
