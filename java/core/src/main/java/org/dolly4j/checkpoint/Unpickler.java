package org.dolly4j.checkpoint;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dolly4j.CheckpointException;

/**
 * Reads the part of Python's pickle format (protocols 2 to 5) that data made of dicts, lists, tuples, texts and numbers
 * needs. A pickle is a program for a stack machine; this machine has no instruction that runs code: a global is handed
 * to {@link Meaning#global}, a call to {@link Meaning#call}, and what they don't know is refused. Memory is bounded by
 * the number of instructions and the length of texts.
 *
 * <p>Python values become {@code Long}, {@code Double}, {@code Boolean}, {@code String}, {@code List} (lists and
 * tuples), {@code Map} (dicts, in order), {@link #NONE}, or what {@link Meaning} returns.
 *
 * <p>Source: the descriptions of opcodes in Python's {@code pickletools}.
 */
final class Unpickler {
    /** What a pickle may refer to outside of itself. */
    interface Meaning {
        /** The value of a global name, or null if it is not one that the data needs. */
        Object global(String module, String name);

        /** The value of a call, or null if it is not one that the data needs. */
        Object call(Object callable, List<?> arguments);

        /** The value behind a persistent id, or null if it is not one that the data needs. */
        Object persistent(Object id);
    }

    /** Of data that refers to nothing outside of itself. */
    static final Meaning PLAIN = new Meaning() {
        @Override
        public Object global(String module, String name) {
            return null;
        }

        @Override
        public Object call(Object callable, List<?> arguments) {
            return null;
        }

        @Override
        public Object persistent(Object id) {
            return null;
        }
    };

    /** Python's None. */
    static final Object NONE = new Object() {
        @Override
        public String toString() {
            return "None";
        }
    };

    /** Most instructions run: a state dict takes about 30 per tensor. */
    static final int MAX_INSTRUCTIONS = 2_000_000;

    /** Longest text read: names of tensors have some dozens of characters. */
    private static final int MAX_TEXT_BYTES = 1 << 16;

    private static final int MAX_GLOBAL_CHARACTERS = 256;

    /** Marks the place on the stack where the items of a collection begin. */
    private static final Object MARK = new Object();

    private final CheckpointFile file;
    private final String entry;
    private final DataInputStream in;
    private final Meaning meaning;
    private final List<Object> stack = new ArrayList<>();
    private final Map<Long, Object> memo = new HashMap<>();

    /**
     * @param file file that holds the pickle, for messages
     * @param entry what the pickle is called, for messages
     * @param in the pickle, buffered
     * @param meaning what its globals, calls and persistent ids stand for
     */
    Unpickler(CheckpointFile file, String entry, InputStream in, Meaning meaning) {
        this.file = file;
        this.entry = entry;
        this.in = new DataInputStream(in);
        this.meaning = meaning;
    }

    /**
     * Runs the pickle to its STOP.
     *
     * @throws CheckpointException if it is damaged or wants anything but plain data
     */
    Object load() {
        try {
            for (int n = 0; n < MAX_INSTRUCTIONS; n++) {
                int opcode = in.readUnsignedByte();
                if (opcode == '.') {
                    return pop();
                }
                run(opcode);
            }
        } catch (EOFException e) {
            throw damaged("it ends without a STOP instruction");
        } catch (IOException e) {
            throw new CheckpointException(file.path() + ": can't be read: " + e, e);
        }
        throw file.error("%s has more than %,d instructions, which no model needs.", entry, MAX_INSTRUCTIONS);
    }

    private void run(int opcode) throws IOException {
        switch (opcode) {
            case 0x80 -> readProtocol();
            case 0x95 -> readLong(); // FRAME: only a hint for buffering
            case '(' -> push(MARK);
            case '0' -> pop();
            case '1' -> popToMark();
            case '2' -> push(peek());

            case 'N' -> push(NONE);
            case 0x88 -> push(true);
            case 0x89 -> push(false);
            case 'K' -> push((long) in.readUnsignedByte());
            case 'M' -> push(readUnsigned(2));
            case 'J' -> push((long) (int) readUnsigned(4));
            case 0x8a -> push(readInteger(in.readUnsignedByte()));
            case 'G' -> push(in.readDouble());
            case 0x8c -> push(readText(in.readUnsignedByte()));
            case 'X' -> push(readText(readUnsigned(4)));
            case 0x8d -> push(readText(readLong()));

            case ')' -> push(List.of());
            case 't' -> push(popToMark());
            case 0x85 -> push(popLast(1));
            case 0x86 -> push(popLast(2));
            case 0x87 -> push(popLast(3));
            case ']' -> push(new ArrayList<>());
            case 'l' -> push(popToMark());
            case 'a' -> appendAll(popLast(1));
            case 'e' -> appendAll(popToMark());
            case '}' -> push(new LinkedHashMap<>());
            case 'd' -> {
                List<Object> items = popToMark();
                push(new LinkedHashMap<>());
                putAll(items);
            }
            case 's' -> putAll(popLast(2));
            case 'u' -> putAll(popToMark());

            case 'q' -> memo.put((long) in.readUnsignedByte(), peek());
            case 'r' -> memo.put(readUnsigned(4), peek());
            case 0x94 -> memo.put((long) memo.size(), peek());
            case 'h' -> push(recall(in.readUnsignedByte()));
            case 'j' -> push(recall(readUnsigned(4)));

            case 'c' -> pushGlobal(readLine(), readLine());
            case 0x93 -> {
                List<Object> names = popLast(2);
                pushGlobal(text(names.get(0)), text(names.get(1)));
            }
            case 'R' -> {
                List<Object> call = popLast(2);
                push(call(call.get(0), call.get(1)));
            }
            case 'Q' -> pushPersistent(pop());
            case 'b' -> ignoreState();
            default ->
                throw file.error(
                        "%s has the pickle instruction 0x%02x, which weights don't need. The file is damaged or "
                                + "malicious; nothing in it was run. Get the model from a source you trust.",
                        entry, opcode);
        }
    }

    private void readProtocol() throws IOException {
        int protocol = in.readUnsignedByte();
        if (protocol < 2 || protocol > 5) {
            throw file.error("%s has pickle protocol %d; 2 to 5 are supported.", entry, protocol);
        }
    }

    private void pushGlobal(String module, String name) {
        Object value = meaning.global(module, name);
        if (value == null) {
            throw file.error(
                    "%s refers to %s.%s, which weights don't need. The file may be malicious; nothing in it was run. "
                            + "Get the model from a source you trust, or as safetensors.",
                    entry, module, name);
        }
        push(value);
    }

    private void pushPersistent(Object id) {
        Object value = meaning.persistent(id);
        if (value == null) {
            throw file.error("%s refers to something other than a storage of weights. The file is damaged.", entry);
        }
        push(value);
    }

    private Object call(Object callable, Object arguments) {
        Object value = arguments instanceof List<?> list ? meaning.call(callable, list) : null;
        if (value == null) {
            throw file.error(
                    "%s calls %s in a way that weights don't need. The file is damaged or malicious; nothing in it "
                            + "was run. Get the model from a source you trust, or as safetensors.",
                    entry, describe(callable));
        }
        return value;
    }

    /** Attributes of an object. A state dict has {@code _metadata} (versions of modules), which weights don't need. */
    private void ignoreState() {
        pop();
        if (!(peek() instanceof Map<?, ?>)) {
            throw damaged("it sets attributes of " + describe(peek()));
        }
    }

    private void appendAll(List<Object> items) {
        if (!(peek() instanceof ArrayList<?>)) {
            throw damaged("it appends to " + describe(peek()));
        }
        @SuppressWarnings("unchecked")
        List<Object> list = (List<Object>) peek();
        list.addAll(items);
    }

    /** Keys are texts and numbers only, whose hashes a file can't make recursive. */
    private void putAll(List<Object> items) {
        if (!(peek() instanceof Map<?, ?>) || items.size() % 2 != 0) {
            throw damaged("it sets " + items.size() + " items of " + describe(peek()));
        }
        @SuppressWarnings("unchecked")
        Map<Object, Object> map = (Map<Object, Object>) peek();
        for (int i = 0; i < items.size(); i += 2) {
            Object key = items.get(i);
            if (!(key instanceof String || key instanceof Long)) {
                throw damaged("a dict has " + describe(key) + " as a key");
            }
            if (map.put(key, items.get(i + 1)) != null) {
                throw file.error("%s sets the key '%s' twice. The file is damaged.", entry, key);
            }
        }
    }

    private void push(Object value) {
        stack.add(value);
    }

    private Object pop() {
        Object top = peek();
        stack.remove(stack.size() - 1);
        return top;
    }

    private Object peek() {
        Object top = stack.isEmpty() ? MARK : stack.get(stack.size() - 1);
        if (top == MARK) {
            throw damaged("it takes a value off an empty stack");
        }
        return top;
    }

    /** The last values of the stack, taken off, in the order they were pushed. */
    private List<Object> popLast(int count) {
        List<Object> values = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            values.add(0, pop());
        }
        return values;
    }

    private List<Object> popToMark() {
        int mark = stack.lastIndexOf(MARK);
        if (mark < 0) {
            throw damaged("it takes values up to a mark that was never set");
        }
        List<Object> above = stack.subList(mark + 1, stack.size());
        List<Object> values = new ArrayList<>(above);
        above.clear();
        stack.remove(mark);
        return values;
    }

    private Object recall(long slot) {
        Object value = memo.get(slot);
        if (value == null) {
            throw damaged("it reads memo slot " + slot + ", which was never written");
        }
        return value;
    }

    private long readLong() throws IOException {
        return Long.reverseBytes(in.readLong());
    }

    private long readUnsigned(int bytes) throws IOException {
        long value = 0;
        for (int i = 0; i < bytes; i++) {
            value |= (long) in.readUnsignedByte() << (8 * i);
        }
        return value;
    }

    /** A two's complement integer of this many bytes. */
    private long readInteger(int bytes) throws IOException {
        if (bytes > Long.BYTES) {
            throw damaged("it has a number of " + bytes + " bytes");
        }
        int unused = Long.SIZE - 8 * bytes;
        return bytes == 0 ? 0 : readUnsigned(bytes) << unused >> unused;
    }

    private String readText(long bytes) throws IOException {
        if (bytes < 0 || bytes > MAX_TEXT_BYTES) {
            throw damaged("it has a text of " + Long.toUnsignedString(bytes) + " bytes");
        }
        byte[] utf8 = new byte[(int) bytes];
        in.readFully(utf8);
        return new String(utf8, StandardCharsets.UTF_8);
    }

    private String readLine() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.readUnsignedByte(); c != '\n'; c = in.readUnsignedByte()) {
            if (line.length() == MAX_GLOBAL_CHARACTERS) {
                throw damaged("it has a name of more than " + MAX_GLOBAL_CHARACTERS + " characters");
            }
            line.append((char) c);
        }
        return line.toString();
    }

    private String text(Object value) {
        if (value instanceof String text) {
            return text;
        }
        throw damaged("it uses " + describe(value) + " as a name");
    }

    private CheckpointException damaged(String reason) {
        return file.error("%s is no pickle of weights: %s. Delete the file and load again.", entry, reason);
    }

    /** What a value is, for messages; not its content, which may be endless. */
    static String describe(Object value) {
        if (value instanceof List<?>) {
            return "a list";
        }
        if (value instanceof Map<?, ?>) {
            return "a dict";
        }
        if (value instanceof String) {
            return "a text";
        }
        return value instanceof Number || value instanceof Boolean ? "a number" : String.valueOf(value);
    }
}
