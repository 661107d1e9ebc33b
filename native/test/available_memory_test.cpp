#include "cpu/available_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "model/memory_check.h"

namespace dolly4j::test {
namespace {

constexpr std::int64_t kGb = 1'000'000'000;

// Files of /proc and /sys in a folder of their own.
class AvailableMemory : public testing::Test {
 protected:
  AvailableMemory() {
    std::string path = std::filesystem::temp_directory_path() / "dolly4j-test-XXXXXX";
    root_ = mkdtemp(path.data());
  }
  ~AvailableMemory() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  // A machine with 16000 MB to give, and swap.
  void write_machine(int swap_kilobytes = 0) {
    write("/proc/meminfo", "MemTotal:       32000000 kB\nMemFree:         1000000 kB\nMemAvailable:   15625000 kB\n" +
                               std::string("SwapFree:  ") + std::to_string(swap_kilobytes) + " kB\n");
  }

  std::int64_t megabytes() const { return available_memory(root_) / 1'000'000; }

  std::string root_;
};

TEST_F(AvailableMemory, ofASystemThatSaysNothingIsUnlimited) {
  EXPECT_EQ(available_memory(root_), std::numeric_limits<std::int64_t>::max());
  write("/proc/meminfo", "MemAvailable: much\n");
  write("/proc/self/cgroup", "nonsense\n1:\n\n0::\n5:memory\n");
  EXPECT_EQ(available_memory(root_), std::numeric_limits<std::int64_t>::max());
}

TEST_F(AvailableMemory, withoutGroupsIsWhatTheMachineHasAndItsSwap) {
  write_machine();
  EXPECT_EQ(megabytes(), 16000);
  write_machine(500000);
  EXPECT_EQ(megabytes(), 16512);
}

TEST_F(AvailableMemory, ofAGroupWithoutALimitIsTheMachines) {
  write_machine();
  write("/proc/self/cgroup", "0::/user.slice\n");
  write("/sys/fs/cgroup/user.slice/memory.max", "max\n");
  write("/sys/fs/cgroup/user.slice/memory.current", "1000000000\n");
  EXPECT_EQ(megabytes(), 16000);
}

TEST_F(AvailableMemory, isWhatTheTightestGroupLeavesWithThePageCacheCountedAsFree) {
  write_machine();
  write("/proc/self/cgroup", "1:cpu:/other\n0::/pod/container\n");
  write("/sys/fs/cgroup/pod/container/memory.max", "8000000000\n");
  write("/sys/fs/cgroup/pod/container/memory.current", "3000000000\n");
  write("/sys/fs/cgroup/pod/container/memory.stat",
        "anon 500000000\nfile 2500000000\ninactive_file 2000000000\nactive_file 400000000\n");
  EXPECT_EQ(megabytes(), 7400);
  write("/sys/fs/cgroup/pod/memory.max", "6000000000\n");
  write("/sys/fs/cgroup/pod/memory.current", "5000000000\n");
  EXPECT_EQ(megabytes(), 1000);
}

TEST_F(AvailableMemory, countsCachesOfTheKernelThatCanBeGivenUpAsFree) {
  write_machine();
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/memory.max", "4000000000\n");
  write("/sys/fs/cgroup/memory.current", "3000000000\n");
  write("/sys/fs/cgroup/memory.stat",
        "inactive_file 500000000\nslab_reclaimable 1500000000\nslab_unreclaimable 300000000\nslab 1800000000\n");
  EXPECT_EQ(megabytes(), 3000);
}

TEST_F(AvailableMemory, ofAContainerThatSeesItsGroupAtTheMountIsThatGroups) {
  write_machine();
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/memory.max", "4000000000\n");
  write("/sys/fs/cgroup/memory.current", "1000000000\n");
  EXPECT_EQ(megabytes(), 3000);
}

TEST_F(AvailableMemory, ofVersion1IsReadFromItsFilesWhereverTheContainerSeesThem) {
  write_machine();
  write("/proc/self/cgroup", "4:memory,hugetlb:/docker/abc\n3:cpuset:/\n0::/\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n");
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "3500000000\n");
  write("/sys/fs/cgroup/memory/memory.stat",
        "inactive_file 1\nactive_file 1\ntotal_inactive_file 1000000000\ntotal_active_file 500000000\n");
  EXPECT_EQ(megabytes(), 2000);
  write("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "3500000000\n");
  EXPECT_EQ(megabytes(), 2000);
}

TEST_F(AvailableMemory, hasNoMoreSwapThanEveryGroupLeaves) {
  write_machine(500000);
  write("/proc/self/cgroup", "0::/pod/container\n");
  write("/sys/fs/cgroup/pod/container/memory.swap.max", "300000000\n");
  write("/sys/fs/cgroup/pod/container/memory.swap.current", "100000000\n");
  EXPECT_EQ(megabytes(), 16200);
  write("/sys/fs/cgroup/pod/memory.swap.max", "max\n");
  write("/sys/fs/cgroup/pod/memory.swap.current", "100000000\n");
  EXPECT_EQ(megabytes(), 16200);
  write("/sys/fs/cgroup/pod/memory.swap.max", "0\n");
  EXPECT_EQ(megabytes(), 16000);
}

TEST_F(AvailableMemory, ofVersion1HasWhatItsLimitOfMemoryAndSwapLeaves) {
  write_machine(500000);
  write("/proc/self/cgroup", "4:memory:/\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n");
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "3000000000\n");
  write("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file 1000000000\n");
  write("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", "3100000000\n");
  write("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "4000000000\n");
  EXPECT_EQ(megabytes(), 2000);
  write("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "4300000000\n");
  EXPECT_EQ(megabytes(), 2200);
  write("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(megabytes(), 2512);
}

TEST_F(AvailableMemory, ofAGroupWhoseStatisticsLagBehindIsAtMostItsLimit) {
  write_machine();
  write("/proc/self/cgroup", "4:memory:/\n");
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000000\n");
  write("/sys/fs/cgroup/memory/memory.stat", "total_inactive_file 6000000000\ntotal_active_file 0\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(megabytes(), 16000);
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n");
  EXPECT_EQ(megabytes(), 4000);
}

TEST_F(AvailableMemory, isNeverBelowZero) {
  write_machine();
  write("/proc/self/cgroup", "0::/\n");
  write("/sys/fs/cgroup/memory.max", "1000\n");
  write("/sys/fs/cgroup/memory.current", "5000000000\n");
  EXPECT_EQ(available_memory(root_), 0);
}

TEST_F(AvailableMemory, ofThisMachineIsLessThanThereIs) {
  EXPECT_GT(available_memory(), 0);
  EXPECT_LT(available_memory(), std::numeric_limits<std::int64_t>::max());
}

std::string refusal(const MemoryNeed& need, std::int64_t available) {
  try {
    check_memory(need, available);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(MemoryCheck, letsPassWhatFitsToTheByte) {
  EXPECT_EQ(refusal({3 * kGb, kGb, D4J_FLOAT32, D4J_FLOAT32}, 4 * kGb), "");
  EXPECT_NE(refusal({3 * kGb, kGb, D4J_FLOAT32, D4J_FLOAT32}, 4 * kGb - 1), "");
}

TEST(MemoryCheck, saysWhatIsNeededWhatThereIsAndWhatToDo) {
  EXPECT_EQ(
      refusal({11 * kGb, kGb, D4J_FLOAT32, D4J_FLOAT32}, 6 * kGb),
      "the model needs 11.0 GB for its weights and 1.0 GB for its KV cache, but only 6.0 GB of memory are "
      "available: choose bfloat16, which takes half of that, make the KV cache smaller, choose a smaller model, or "
      "free memory");
  EXPECT_EQ(
      refusal({4 * kGb, 0, D4J_BFLOAT16, D4J_BFLOAT16}, kGb),
      "the model needs 4.0 GB for its weights, but only 1.0 GB of memory are available: choose int8 or int4, whose "
      "weights take half or a third of that, choose a smaller model, or free memory");
  for (const d4j_dtype weights : {D4J_FLOAT32, D4J_BFLOAT16}) {
    EXPECT_EQ(refusal({0, kGb, weights, D4J_BFLOAT16}, kGb / 2),
              "the model needs 1.0 GB for its KV cache, but only 0.5 GB of memory are available: make the KV cache "
              "smaller, or free memory");
  }
  EXPECT_EQ(refusal({0, kGb, D4J_INT8, D4J_FLOAT32}, kGb / 2),
            "the model needs 1.0 GB for its KV cache, but only 0.5 GB of memory are available: hold the KV cache in "
            "bfloat16, which takes half of that, make the KV cache smaller, or free memory");
}

}  // namespace
}  // namespace dolly4j::test
