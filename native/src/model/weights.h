// The weights of a decoder in the memory of this process, row-major, in the type they are computed with.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "cpu/aligned_memory.h"
#include "dolly4j.h"

namespace dolly4j {

/// One matrix or vector. `data` is [rows, columns], float32 or bfloat16.
struct WeightMatrix {
  AlignedMemory data;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool is_float32 = true;
};

class Weights {
 public:
  /// Reserves memory for all slots of the spec, which has passed check_spec. Throws D4J_OUT_OF_MEMORY.
  Weights(const d4j_decoder_spec& spec, d4j_dtype compute_type);

  /// See d4j_model_load_rows.
  void load(const d4j_rows& rows);

  /// Throws D4J_INVALID_ARGUMENT and names the first slot of which rows were not loaded.
  void check_complete() const;

  /// A slot of the decoder, or null where the decoder has none. Layer 0 for slots outside the blocks.
  const WeightMatrix* find(d4j_slot slot, int layer = 0) const;

  /// Gives a slot's memory to the caller, for one that keeps it elsewhere.
  AlignedMemory take(d4j_slot slot, int layer = 0);

  std::int64_t bytes() const;

 private:
  struct Entry {
    WeightMatrix matrix;
    std::vector<std::uint8_t> claimed;  // per row: being loaded, or loaded
    std::int64_t missing = 0;           // rows not loaded yet
  };

  Entry& claim(const d4j_rows& rows);

  d4j_decoder_spec spec_;
  std::array<std::vector<Entry>, D4J_SLOT_COUNT> slots_;
  mutable std::mutex mutex_;  // of claimed and missing
};

}  // namespace dolly4j
