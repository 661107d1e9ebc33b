#include "amx_emulation.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

namespace dolly4j::test {
namespace {

#if defined(__x86_64__) && defined(__linux__)

void configure() {
  struct alignas(64) {
    std::uint8_t palette = 1;
    std::uint8_t reserved[15] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}
void use() { __asm__ volatile("tilezero %tmm3"); }
void release() { __asm__ volatile("tilerelease"); }

class AmxEmulated : public testing::Test {
 protected:
  void SetUp() override {
    if (cpu_has_amx()) {
      GTEST_SKIP() << "this CPU has AMX";
    }
  }
};

TEST_F(AmxEmulated, tilesCanBeUsedAndReleasedAgainAndAgain) {
  const AmxEmulation emulation;
  for (int i = 0; i < 3; i++) {
    configure();
    use();
    release();
  }
  release();
}

using AmxEmulatedDeathTest = AmxEmulated;

TEST_F(AmxEmulatedDeathTest, tilesThatAreNotReleasedAtTheEndAreFound) {
  const auto forget = [] {
    const AmxEmulation emulation;
    configure();
    use();
  };
  EXPECT_DEATH(forget(), "1 threads have not released their tiles");
}

TEST_F(AmxEmulatedDeathTest, tilesThatAnotherThreadDoesNotReleaseAreFound) {
  const auto forget = [] {
    const AmxEmulation emulation;
    configure();
    std::thread(configure).join();
    release();
  };
  EXPECT_DEATH(forget(), "1 threads have not released their tiles");
}

TEST_F(AmxEmulatedDeathTest, tilesThatAreNotReleasedBeforeTheNextConfigurationAreFound) {
  const auto forget = [] {
    const AmxEmulation emulation;
    configure();
    configure();
    release();
  };
  EXPECT_DEATH(forget(), "a configuration of tiles that were not released");
}

TEST_F(AmxEmulatedDeathTest, useOfTilesThatAreNotConfiguredIsFound) {
  const auto use_released = [] {
    const AmxEmulation emulation;
    configure();
    release();
    use();
  };
  EXPECT_DEATH(use_released(), "an instruction without configured tiles");
}

#else

TEST(AmxEmulated, isForX86Only) { GTEST_SKIP() << "only Linux on x86-64 has AMX"; }

#endif

}  // namespace
}  // namespace dolly4j::test
