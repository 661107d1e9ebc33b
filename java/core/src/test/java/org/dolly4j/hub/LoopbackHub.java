package org.dolly4j.hub;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A hub on this machine with one repository. It answers as the real one does: a list of files, HEAD with the headers
 * that huggingface_hub reads, small files itself, and for large ones a redirect to a second server on another port,
 * which serves ranges. Faults can be put before both.
 */
public final class LoopbackHub implements AutoCloseable {
    /** Id of the repository. */
    public static final String ID = "org/model";

    /** Files from this size on are large. */
    public static final int LARGE_BYTES = 4096;

    static {
        // Else each answer is held back until the client's delayed acknowledgement.
        System.setProperty("sun.net.httpserver.nodelay", "true");
    }

    private static final Pattern RANGE = Pattern.compile("bytes=(\\d+)-(\\d+)");
    private static final String STORED = "/stored/";

    private final HttpServer hub;
    private final HttpServer store;
    private final ExecutorService threads = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "loopback-hub");
        thread.setDaemon(true);
        return thread;
    });

    private final Map<String, byte[]> files = new TreeMap<>();

    /** Every revision leads to it. */
    public volatile String commit = "0123456789abcdef0123456789abcdef01234567";

    /** What was asked, in order. */
    public final List<Asked> log = new CopyOnWriteArrayList<>();

    /** Bytes of bodies that were sent, by file. */
    public final Map<String, AtomicLong> sent = new ConcurrentHashMap<>();

    /** Asked first at the hub itself. */
    public volatile Fault hubFault = (exchange, name) -> false;

    /** Asked first at the store of large files. */
    public volatile Fault storeFault = (exchange, name) -> false;

    /** Pause between two pieces of a stored file. */
    public volatile Duration pause = Duration.ZERO;

    /** An answer in place of the right one. */
    @FunctionalInterface
    public interface Fault {
        /**
         * Answers or does not.
         *
         * @param name the file that is asked for, or empty
         * @return whether it has
         */
        boolean answer(HttpExchange exchange, String name) throws IOException, InterruptedException;
    }

    /** A request. */
    public record Asked(boolean hubItself, String method, String path, Headers headers) {
        @Override
        public String toString() {
            return method + " " + path;
        }
    }

    public LoopbackHub() throws IOException {
        hub = start(true);
        store = start(false);
    }

    private HttpServer start(boolean hubItself) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            try (exchange) {
                answer(exchange, hubItself);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        server.start();
        return server;
    }

    /** Adds or replaces a file. */
    public LoopbackHub file(String name, byte[] bytes) {
        files.put(name, bytes.clone());
        return this;
    }

    /** Adds or replaces a file. */
    public LoopbackHub file(String name, String text) {
        return file(name, text.getBytes(StandardCharsets.UTF_8));
    }

    /** Removes a file. */
    public void remove(String name) {
        files.remove(name);
    }

    /** The bytes of a file. */
    public byte[] bytes(String name) {
        return files.get(name).clone();
    }

    public URI endpoint() {
        return address(hub);
    }

    public URI storeAddress() {
        return address(store);
    }

    private static URI address(HttpServer server) {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    /** How many bytes of a file were sent, in all answers together. */
    public long sent(String name) {
        return sent.getOrDefault(name, new AtomicLong()).get();
    }

    /** What was asked, method and path. */
    public List<String> asked() {
        return log.stream().map(Asked::toString).toList();
    }

    private void answer(HttpExchange exchange, boolean hubItself) throws IOException, InterruptedException {
        String path = exchange.getRequestURI().getRawPath();
        log.add(new Asked(hubItself, exchange.getRequestMethod(), path, exchange.getRequestHeaders()));
        String name = path.substring(path.lastIndexOf('/') + 1);
        if ((hubItself ? hubFault : storeFault).answer(exchange, name)) {
            return;
        }
        if (!hubItself) {
            send(exchange, name);
        } else if (path.startsWith("/api/models/" + ID + "/revision/")) {
            sendText(exchange, 200, listing());
        } else if (path.startsWith("/api/models/" + ID + "/tree/")) {
            sendText(exchange, 200, tree());
        } else if (path.startsWith("/" + ID + "/resolve/") && files.containsKey(name)) {
            resolve(exchange, name);
        } else {
            boolean model = path.contains(ID);
            exchange.getResponseHeaders().add("X-Error-Code", model ? "EntryNotFound" : "RepoNotFound");
            sendText(exchange, 404, "{}");
        }
    }

    private String listing() {
        JsonArray siblings = new JsonArray();
        for (String name : files.keySet()) {
            JsonObject sibling = new JsonObject();
            sibling.addProperty("rfilename", name);
            siblings.add(sibling);
        }
        JsonObject listing = new JsonObject();
        listing.addProperty("_id", "1");
        listing.addProperty("id", ID);
        listing.addProperty("modelId", ID);
        listing.addProperty("private", false);
        listing.add("tags", new JsonArray());
        listing.addProperty("downloads", 1);
        listing.addProperty("likes", 1);
        listing.addProperty("sha", commit);
        listing.add("siblings", siblings);
        return listing.toString();
    }

    private String tree() {
        JsonArray tree = new JsonArray();
        files.forEach((name, bytes) -> {
            JsonObject file = new JsonObject();
            file.addProperty("type", "file");
            file.addProperty("path", name);
            file.addProperty("size", bytes.length);
            file.addProperty("oid", gitHash(bytes));
            if (isLarge(bytes)) {
                JsonObject lfs = new JsonObject();
                lfs.addProperty("oid", sha256(bytes));
                lfs.addProperty("size", bytes.length);
                lfs.addProperty("pointerSize", 130);
                file.add("lfs", lfs);
            }
            tree.add(file);
        });
        return tree.toString();
    }

    private void resolve(HttpExchange exchange, String name) throws IOException, InterruptedException {
        byte[] bytes = files.get(name);
        Headers headers = exchange.getResponseHeaders();
        headers.add("X-Repo-Commit", commit);
        if (isLarge(bytes)) {
            headers.add("X-Linked-Etag", quoted(sha256(bytes)));
            headers.add("X-Linked-Size", Integer.toString(bytes.length));
            headers.add("Location", storeAddress() + STORED + name);
            exchange.sendResponseHeaders(302, -1);
        } else {
            headers.add("ETag", quoted(gitHash(bytes)));
            send(exchange, name);
        }
    }

    /** Sends a file, or the range of it that is asked for. */
    public void send(HttpExchange exchange, String name) throws IOException, InterruptedException {
        byte[] bytes = files.get(name);
        if (exchange.getRequestMethod().equals("HEAD")) {
            exchange.getResponseHeaders().add("Content-Length", Integer.toString(bytes.length));
            exchange.sendResponseHeaders(200, -1);
            return;
        }
        String range = exchange.getRequestHeaders().getFirst("Range");
        Matcher wanted = RANGE.matcher(range == null ? "" : range);
        if (wanted.matches()) {
            int first = Integer.parseInt(wanted.group(1));
            int last = Math.min(Integer.parseInt(wanted.group(2)), bytes.length - 1);
            sendRange(exchange, name, first, last);
        } else {
            sendWhole(exchange, name);
        }
    }

    /** Sends a file, whatever range was asked for. */
    public void sendWhole(HttpExchange exchange, String name) throws IOException, InterruptedException {
        int length = files.get(name).length;
        exchange.sendResponseHeaders(200, length == 0 ? -1 : length);
        write(exchange, name, 0, length);
    }

    /** Sends a range of a file, whatever was asked for. */
    public void sendRange(HttpExchange exchange, String name, int first, int last)
            throws IOException, InterruptedException {
        byte[] bytes = files.get(name);
        exchange.getResponseHeaders().add("Content-Range", "bytes " + first + "-" + last + "/" + bytes.length);
        exchange.sendResponseHeaders(206, last - first + 1);
        write(exchange, name, first, last + 1);
    }

    /** Writes bytes of a file in pieces. */
    public void write(HttpExchange exchange, String name, int from, int to) throws IOException, InterruptedException {
        byte[] bytes = files.get(name);
        AtomicLong count = sent.computeIfAbsent(name, key -> new AtomicLong());
        OutputStream out = exchange.getResponseBody();
        for (int at = from; at < to; ) {
            int piece = Math.min(16 * 1024, to - at);
            out.write(bytes, at, piece);
            out.flush();
            count.addAndGet(piece);
            at += piece;
            Thread.sleep(pause.toMillis());
        }
    }

    /** Answers with a short text. */
    public static void sendText(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.getResponseHeaders().add("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, head || bytes.length == 0 ? -1 : bytes.length);
        if (!head) {
            exchange.getResponseBody().write(bytes);
        }
    }

    private static boolean isLarge(byte[] bytes) {
        return bytes.length >= LARGE_BYTES;
    }

    private static String quoted(String text) {
        return "\"" + text + "\"";
    }

    /** What the hub knows the bytes of a file by. */
    public static String etag(byte[] bytes) {
        return isLarge(bytes) ? sha256(bytes) : gitHash(bytes);
    }

    private static String sha256(byte[] bytes) {
        return hash("SHA-256", new byte[0], bytes);
    }

    private static String gitHash(byte[] bytes) {
        return hash("SHA-1", ("blob " + bytes.length + "\0").getBytes(StandardCharsets.US_ASCII), bytes);
    }

    private static String hash(String algorithm, byte[] prefix, byte[] bytes) {
        try {
            MessageDigest digest = MessageDigest.getInstance(algorithm);
            digest.update(prefix);
            return HexFormat.of().formatHex(digest.digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    /** Takes no more requests and cuts those that run. */
    @Override
    public void close() {
        hub.stop(0);
        store.stop(0);
        threads.shutdownNow();
    }
}
