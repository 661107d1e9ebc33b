package org.dolly4j.runtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * How much memory this process may still take, by what Linux says of the machine and of the control groups (version 1
 * and 2) that the process is in. Page cache and the kernel's caches that can be given up count as free, since they are
 * given up where memory is short; the native library goes by the same rule.
 *
 * @param bytes the least of what the machine and each group leave, without swap; the largest number if nothing says
 * @param swapBytes free swap of the machine, or what the groups leave of it if that is less
 * @param source what leaves the least, for messages
 */
public record AvailableMemory(long bytes, long swapBytes, String source) {
    private static final String MACHINE = "/proc/meminfo";

    /** The files of a version of control groups, and the keys in memory.stat of what usage counts but is given up. */
    private enum Version {
        V1(
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "memory.memsw.limit_in_bytes",
                "memory.memsw.usage_in_bytes",
                List.of("total_inactive_file", "total_active_file")),
        V2(
                "sys/fs/cgroup",
                "memory.max",
                "memory.current",
                "memory.swap.max",
                "memory.swap.current",
                List.of("inactive_file", "active_file", "slab_reclaimable"));

        private final String mount;
        private final String limit;
        private final String usage;
        private final String swapLimit;
        private final String swapUsage;
        private final List<String> caches;

        Version(String mount, String limit, String usage, String swapLimit, String swapUsage, List<String> caches) {
            this.mount = mount;
            this.limit = limit;
            this.usage = usage;
            this.swapLimit = swapLimit;
            this.swapUsage = swapUsage;
            this.caches = caches;
        }

        long cacheBytes(Path group) {
            List<String> statistics = lines(group.resolve("memory.stat"));
            return caches.stream()
                    .mapToLong(key -> value(statistics, key).orElse(0))
                    .sum();
        }
    }

    /** What there is now. */
    public static AvailableMemory now() {
        return of(Path.of("/"));
    }

    /** What the files below a root say. */
    static AvailableMemory of(Path root) {
        List<String> machine = lines(root.resolve("proc/meminfo"));
        AvailableMemory left = new AvailableMemory(
                kilobytes(machine, "MemAvailable:").orElse(Long.MAX_VALUE),
                kilobytes(machine, "SwapFree:").orElse(0),
                "the machine (MemAvailable of " + MACHINE + ")");
        for (String line : lines(root.resolve("proc/self/cgroup"))) {
            String[] parts = line.split(":", 3); // ID:CONTROLLERS:PATH
            if (parts.length < 3 || !parts[2].startsWith("/")) {
                continue;
            }
            if (parts[1].isEmpty()) {
                left = left.within(root, Version.V2, parts[2]);
            } else if (List.of(parts[1].split(",", -1)).contains("memory")) {
                left = left.within(root, Version.V1, parts[2]);
            }
        }
        return left;
    }

    /**
     * This, or what a group and those above it leave, if that is less. A container may see its own group at the mount
     * point, under whatever path: folders that are not there limit nothing.
     */
    private AvailableMemory within(Path root, Version version, String path) {
        Path mount = root.resolve(version.mount);
        Path group = mount.resolve(path.substring(1)).normalize();
        if (!group.startsWith(mount)) {
            group = mount; // a group outside of what this process may see
        }
        AvailableMemory left = this;
        for (; group.startsWith(mount); group = group.getParent()) {
            OptionalLong free = free(group, version.limit, version.usage, version.cacheBytes(group));
            if (free.isPresent() && free.getAsLong() < left.bytes) {
                String source = "the control group's /" + root.relativize(group.resolve(version.limit));
                left = new AvailableMemory(free.getAsLong(), left.swapBytes, source);
            }
            left = left.withSwapOf(group, version);
        }
        return left;
    }

    private AvailableMemory withSwapOf(Path group, Version version) {
        // Version 1 limits the sum of memory and swap: what is left of it for swap is what memory leaves.
        OptionalLong free = version == Version.V1
                ? free(group, version.swapLimit, version.swapUsage, version.cacheBytes(group))
                : free(group, version.swapLimit, version.swapUsage, 0);
        long memory = version == Version.V1 ? bytes : 0;
        return free.isPresent()
                ? new AvailableMemory(bytes, Math.min(swapBytes, Math.max(free.getAsLong() - memory, 0)), source)
                : this;
    }

    /** What a limit leaves; none if there is no limit. */
    private static OptionalLong free(Path group, String limitFile, String usageFile, long cache) {
        OptionalLong limit = number(group.resolve(limitFile));
        OptionalLong usage = number(group.resolve(usageFile));
        if (limit.isEmpty() || usage.isEmpty()) {
            return OptionalLong.empty();
        }
        // The statistics lag behind, so they may hold more cache than the group still uses.
        return OptionalLong.of(Math.max(limit.getAsLong() - Math.max(usage.getAsLong() - cache, 0), 0));
    }

    private static OptionalLong kilobytes(List<String> lines, String key) {
        OptionalLong value = value(lines, key);
        return value.isPresent() ? OptionalLong.of(value.getAsLong() * 1024) : value;
    }

    /** The number after a key, in lines of keys and numbers. */
    private static OptionalLong value(List<String> lines, String key) {
        for (String line : lines) {
            String[] words = line.split("\\s+", -1);
            if (words.length > 1 && words[0].equals(key)) {
                return number(words[1]);
            }
        }
        return OptionalLong.empty();
    }

    /** The number that a file holds; none if there is no such file, or if it says "max". */
    private static OptionalLong number(Path file) {
        List<String> lines = lines(file);
        return lines.isEmpty() ? OptionalLong.empty() : number(lines.get(0).strip());
    }

    private static OptionalLong number(String text) {
        return text.matches("[0-9]{1,18}") ? OptionalLong.of(Long.parseLong(text)) : OptionalLong.empty();
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            return List.of();
        }
    }
}
