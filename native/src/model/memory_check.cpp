#include "model/memory_check.h"

#include <array>
#include <cstdio>
#include <string>

#include "api/error.h"

namespace dolly4j {
namespace {

std::string gigabytes(std::int64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text.data();
}

}  // namespace

void check_memory(const MemoryNeed& need, std::int64_t available) {
  if (need.weight_bytes + need.cache_bytes <= available) {
    return;
  }
  std::string parts;
  if (need.weight_bytes > 0) {
    parts = gigabytes(need.weight_bytes) + " for its weights";
  }
  if (need.cache_bytes > 0) {
    parts += (parts.empty() ? "" : " and ") + gigabytes(need.cache_bytes) + " for its KV cache";
  }
  std::string advice;
  const bool wide_cache = need.cache_bytes > 0 && need.kv_type == D4J_FLOAT32;
  if (need.weight_type == D4J_FLOAT32 && (need.weight_bytes > 0 || wide_cache)) {
    advice += "choose bfloat16, which takes half of that, ";
  } else if (need.weight_bytes > 0 && need.weight_type == D4J_BFLOAT16) {
    advice += "choose int8 or int4, whose weights take half or a third of that, ";
  }
  if (need.weight_type != D4J_FLOAT32 && wide_cache) {
    advice += "hold the KV cache in bfloat16, which takes half of that, ";
  }
  if (need.cache_bytes > 0) {
    advice += "make the KV cache smaller, ";
  }
  if (need.weight_bytes > 0) {
    advice += "choose a smaller model, ";
  }
  throw Error(D4J_OUT_OF_MEMORY, "the model needs " + parts + ", but only " + gigabytes(available) +
                                     " of memory are available: " + advice + "or free memory");
}

}  // namespace dolly4j
