// A hash by which tests notice that bytes have changed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dolly4j::test {

// FNV-1a (Fowler, Noll and Vo).
inline std::uint64_t fnv1a(const std::uint8_t* bytes, std::size_t count) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (std::size_t i = 0; i < count; ++i) {
    hash = (hash ^ bytes[i]) * 0x100000001b3U;
  }
  return hash;
}

}  // namespace dolly4j::test
