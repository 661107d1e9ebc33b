#include "cpu/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "api/error.h"
#include "every_isa.h"

namespace dolly4j::test {
namespace {

std::string refusal_of(const char* value) {
  const ForcedIsa choice(value);
  try {
    chosen_isa();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), D4J_INVALID_ARGUMENT);
    return error.what();
  }
  ADD_FAILURE() << "'" << value << "' was accepted";
  return "";
}

TEST(Isa, genericIsAlwaysAvailableAndTheListAscends) {
  EXPECT_EQ(available_isas().front(), Isa::generic);
  EXPECT_TRUE(std::is_sorted(available_isas().begin(), available_isas().end()));
  EXPECT_EQ(std::adjacent_find(available_isas().begin(), available_isas().end()), available_isas().end());
}

TEST(Isa, theBestAvailableIsChosenWhereNoneIsNamed) {
  for (const char* none : {static_cast<const char*>(nullptr), ""}) {
    const ForcedIsa choice(none);
    EXPECT_EQ(chosen_isa(), available_isas().back());
  }
}

TEST(Isa, theNamedOneIsChosenIfAvailable) {
  for (const Isa isa : available_isas()) {
    const ForcedIsa choice(name_of(isa));
    EXPECT_EQ(chosen_isa(), isa);
  }
}

TEST(Isa, anUnknownNameIsRefusedWithTheNamesToChooseFrom) {
  for (const char* unknown : {"avx3", "AVX2", " avx2", "avx", "avx2,amx"}) {
    const std::string message = refusal_of(unknown);
    EXPECT_NE(message.find("DOLLY4J_ISA names an unknown instruction set, '" + std::string(unknown) + "'"),
              std::string::npos)
        << message;
    for (const Isa isa : available_isas()) {
      EXPECT_NE(message.find(name_of(isa)), std::string::npos) << message;
    }
  }
}

TEST(Isa, oneThisCpuDoesNotHaveIsRefused) {
  bool tried = false;
  for (const Isa isa : kEveryIsa) {
    if (!is_available(isa)) {
      tried = true;
      const std::string message = refusal_of(name_of(isa));
      EXPECT_NE(message.find("an instruction set this CPU does not have, '" + std::string(name_of(isa)) + "'"),
                std::string::npos)
          << message;
    }
  }
  if (!tried) {
    GTEST_SKIP() << "this CPU has all of them";
  }
}

// Linux's own view: /proc/cpuinfo lists what the CPU has and the system supports.
TEST(Isa, agreesWithTheSystem) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.rfind("flags", 0) != 0) {
  }
  if (line.rfind("flags", 0) != 0) {
    GTEST_SKIP() << "/proc/cpuinfo has no line of flags";
  }
  const std::string flags = line + " ";
  const auto has_all = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(), [&](const char* name) {
      return flags.find(" " + std::string(name) + " ") != std::string::npos;
    });
  };
  const bool avx2 = has_all({"avx", "avx2", "fma", "f16c"});
  const bool avx512 = avx2 && has_all({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"});
  const bool avx512_bf16 = avx512 && has_all({"avx512_bf16"});
  EXPECT_EQ(is_available(Isa::avx2), avx2);
  EXPECT_EQ(is_available(Isa::avx512), avx512);
  EXPECT_EQ(is_available(Isa::avx512_bf16), avx512_bf16);
  // The system may refuse the tiles to a process.
  if (is_available(Isa::amx)) {
    EXPECT_TRUE(avx512_bf16 && has_all({"amx_tile", "amx_bf16", "amx_int8"}));
  }
}

}  // namespace
}  // namespace dolly4j::test
