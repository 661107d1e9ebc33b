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

  std::int64_t row_bytes() const { return columns * (is_float32 ? 4 : 2); }
};

/// Bytes of all slots of a spec that has passed check_spec.
std::int64_t weight_bytes(const d4j_decoder_spec& spec, d4j_dtype compute_type);

class Weights {
 public:
  /// Reserves memory for all slots of the spec, which has passed check_spec. Throws D4J_OUT_OF_MEMORY.
  Weights(const d4j_decoder_spec& spec, d4j_dtype compute_type);

  /// See d4j_model_load_rows; thread-safe. Rows of a call that fails count as not loaded.
  void load(const d4j_rows& rows);

  /// Throws D4J_INVALID_ARGUMENT and names the first slot of which rows were not loaded.
  void check_complete() const;

  /// A slot of the decoder, or null where the decoder has none. Layer 0 for slots outside the blocks.
  const WeightMatrix* find(d4j_slot slot, int layer = 0) const;

 private:
  struct Entry {
    WeightMatrix matrix;
    std::vector<std::uint8_t> claimed;  // per row: 1 while it is being loaded and once it is; empty before the first
    std::int64_t missing = 0;           // rows not loaded yet
  };

  Entry& entry_of(const d4j_rows& rows);
  void claim(Entry& entry, const d4j_rows& rows);
  static void release(Entry& entry, const d4j_rows& rows, std::int64_t count);

  std::array<std::vector<Entry>, D4J_SLOT_COUNT> slots_;  // entries by layer; none where the decoder lacks the slot
  mutable std::mutex mutex_;                              // of claimed and missing
};

}  // namespace dolly4j
