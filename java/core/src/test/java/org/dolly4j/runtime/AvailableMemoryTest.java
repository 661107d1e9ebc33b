package org.dolly4j.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The cases are those of native/test/available_memory_test.cpp: both sides go by one rule. */
class AvailableMemoryTest {
    @TempDir
    private Path root;

    private void write(String path, String text) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    /** A machine with 16,000 MB to give, and swap. */
    private void writeMachine(int swapKilobytes) throws IOException {
        write(
                "proc/meminfo",
                "MemTotal:       32000000 kB\nMemFree:         1000000 kB\nMemAvailable:   15625000 kB\nSwapFree:  "
                        + swapKilobytes + " kB\n");
    }

    private long megabytes() {
        return AvailableMemory.of(root).bytes() / 1_000_000;
    }

    @Test
    void systemThatSaysNothing_isUnlimited() throws IOException {
        assertThat(AvailableMemory.of(root).bytes()).isEqualTo(Long.MAX_VALUE);
        write("proc/meminfo", "MemAvailable: much\n");
        write("proc/self/cgroup", "nonsense\n1:\n\n0::\n5:memory\n");
        assertThat(AvailableMemory.of(root).bytes()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void withoutGroups_itIsTheMachines_andSwapIsApart() throws IOException {
        writeMachine(500_000);
        assertThat(megabytes()).isEqualTo(16_000);
        assertThat(AvailableMemory.of(root).swapBytes()).isEqualTo(512_000_000);
        assertThat(AvailableMemory.of(root).source()).contains("MemAvailable");
    }

    @Test
    void groupWithoutLimit_leavesAll() throws IOException {
        writeMachine(0);
        write("proc/self/cgroup", "0::/user.slice\n");
        write("sys/fs/cgroup/user.slice/memory.max", "max\n");
        write("sys/fs/cgroup/user.slice/memory.current", "1000000000\n");
        assertThat(megabytes()).isEqualTo(16_000);
    }

    @Test
    void tightestGroupOnThePath_counts_withItsPageCacheAsFree() throws IOException {
        writeMachine(0);
        write("proc/self/cgroup", "1:cpu:/other\n0::/pod/container\n");
        write("sys/fs/cgroup/pod/container/memory.max", "8000000000\n");
        write("sys/fs/cgroup/pod/container/memory.current", "3000000000\n");
        write(
                "sys/fs/cgroup/pod/container/memory.stat",
                "anon 500000000\nfile 2500000000\ninactive_file 2000000000\nactive_file 400000000\n");
        assertThat(megabytes()).isEqualTo(7_400);
        assertThat(AvailableMemory.of(root).source())
                .isEqualTo("the control group's /sys/fs/cgroup/pod/container/memory.max");
        write("sys/fs/cgroup/pod/memory.max", "6000000000\n");
        write("sys/fs/cgroup/pod/memory.current", "5000000000\n");
        assertThat(megabytes()).isEqualTo(1_000);
        assertThat(AvailableMemory.of(root).source()).endsWith("/pod/memory.max");
    }

    @Test
    void cachesOfTheKernelThatCanBeGivenUp_areFree() throws IOException {
        writeMachine(0);
        write("proc/self/cgroup", "0::/\n");
        write("sys/fs/cgroup/memory.max", "4000000000\n");
        write("sys/fs/cgroup/memory.current", "3000000000\n");
        write(
                "sys/fs/cgroup/memory.stat",
                "inactive_file 500000000\nslab_reclaimable 1500000000\nslab_unreclaimable 300000000\n");
        assertThat(megabytes()).isEqualTo(3_000);
    }

    @Test
    void containerThatSeesItsGroupAtTheMount_hasThatGroups() throws IOException {
        writeMachine(0);
        write("sys/fs/cgroup/memory.max", "4000000000\n");
        write("sys/fs/cgroup/memory.current", "1000000000\n");
        for (String path : new String[] {"/", "/docker/abc", "/../../elsewhere"}) {
            write("proc/self/cgroup", "0::" + path + "\n");
            assertThat(megabytes()).as(path).isEqualTo(3_000);
        }
    }

    @Test
    void version1_isReadFromItsFiles_andItsLargestLimitIsNone() throws IOException {
        writeMachine(0);
        write("proc/self/cgroup", "4:memory,hugetlb:/docker/abc\n3:cpuset:/\n0::/\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n");
        write("sys/fs/cgroup/memory/memory.usage_in_bytes", "3500000000\n");
        write("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1500000000\n");
        assertThat(megabytes()).isEqualTo(2_000);
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assertThat(megabytes()).isEqualTo(16_000);
    }

    private long swapMegabytes() {
        return AvailableMemory.of(root).swapBytes() / 1_000_000;
    }

    @Test
    void swap_isNoMoreThanEveryGroupLeaves() throws IOException {
        writeMachine(500_000);
        write("proc/self/cgroup", "0::/pod/container\n");
        write("sys/fs/cgroup/pod/container/memory.swap.max", "300000000\n");
        write("sys/fs/cgroup/pod/container/memory.swap.current", "100000000\n");
        assertThat(swapMegabytes()).isEqualTo(200);
        write("sys/fs/cgroup/pod/memory.swap.max", "max\n");
        write("sys/fs/cgroup/pod/memory.swap.current", "100000000\n");
        assertThat(swapMegabytes()).isEqualTo(200);
        write("sys/fs/cgroup/pod/memory.swap.max", "0\n");
        assertThat(swapMegabytes()).isZero();
        assertThat(megabytes()).isEqualTo(16_000);
    }

    @Test
    void swapOfVersion1_isWhatItsLimitOfMemoryAndSwapLeaves() throws IOException {
        writeMachine(500_000);
        write("proc/self/cgroup", "4:memory:/\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n");
        write("sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000000\n");
        write("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 1000000000\n");
        write("sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", "3100000000\n");
        write("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "4000000000\n");
        assertThat(megabytes()).isEqualTo(2_000);
        assertThat(swapMegabytes()).isZero();
        write("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "4300000000\n");
        assertThat(swapMegabytes()).isEqualTo(200);
        write("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "9223372036854771712\n");
        assertThat(swapMegabytes()).isEqualTo(512);
    }

    @Test
    void fullGroup_leavesNothing() throws IOException {
        writeMachine(0);
        write("proc/self/cgroup", "0::/\n");
        write("sys/fs/cgroup/memory.max", "1000\n");
        write("sys/fs/cgroup/memory.current", "2000\n");
        assertThat(AvailableMemory.of(root).bytes()).isZero();
    }

    @Test
    void thisMachine_hasSome() {
        assertThat(AvailableMemory.now().bytes()).isGreaterThan(10_000_000);
    }
}
