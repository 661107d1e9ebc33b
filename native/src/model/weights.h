// The weights of a decoder in the memory of this process, laid out for the backend that computes with them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/aligned_memory.h"
#include "dolly4j.h"
#include "model/input_file.h"
#include "model/slots.h"
#include "model/smoothing.h"
#include "ops/packed_linear.h"

namespace dolly4j {

/// How the weights lie in memory.
enum class WeightLayout {
  row_major,  // everything; norms float32, all else float32 or bfloat16
  packed,     // matrices of matmuls as in ops/packed_linear.h; the embedding row-major; biases float32
};

/// What a decoder with weights of that type computes in: float32 or bfloat16.
constexpr d4j_dtype compute_type_of(d4j_dtype weight_type) {
  return weight_type == D4J_FLOAT32 ? D4J_FLOAT32 : D4J_BFLOAT16;
}

/// One matrix or vector, [rows, columns] or packed; int8 and int4 are packed only.
struct WeightMatrix {
  AlignedMemory data;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  WeightType type = WeightType::float32;
  bool is_packed = false;
  bool is_widened = false;  // float32 numbers that were rounded to bfloat16, as the inputs of matmuls are

  std::int64_t row_bytes() const { return columns * (type == WeightType::float32 ? 4 : 2); }  // unless packed

  std::int64_t bytes() const;

  /// The matrix, which is packed, without its bias.
  PackedWeight packed() const;
};

/// A matrix and where it belongs; layer 0 for slots outside the blocks.
struct SlotMatrix {
  d4j_slot slot;
  int layer;
  WeightMatrix matrix;
};

/// All matrices of a spec that has passed check_spec, without memory, by slot and then by layer.
std::vector<SlotMatrix> weight_matrices(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout);

/// Bytes of all of them.
std::int64_t weight_bytes(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout);

class Weights {
 public:
  /// Reserves memory for all slots of the spec, which has passed check_spec. Throws D4J_OUT_OF_MEMORY.
  Weights(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout);

  /// In memory that holds all rows already: that of weight_matrices, in their order.
  Weights(const d4j_decoder_spec& spec, d4j_dtype weight_type, WeightLayout layout, std::vector<AlignedMemory> memory);

  /// Gives the memory of a matrix up for other memory with the same contents. Not while others hold pointers into it;
  /// matrices may move beside each other.
  void move(d4j_slot slot, int layer, AlignedMemory memory);

  /// See d4j_model_observe_rows; thread-safe.
  void observe(const d4j_rows& rows);

  /// See d4j_model_load_rows; thread-safe. Rows of a call that fails count as not loaded.
  void load(const d4j_rows& rows);

  /// Throws D4J_INVALID_ARGUMENT and names the first slot of which rows were not loaded.
  void check_complete() const;

  /// A slot of the decoder, or null where the decoder has none. Layer 0 for slots outside the blocks. A tied head is
  /// there only if packed: it lies apart from the embedding then.
  const WeightMatrix* find(d4j_slot slot, int layer = 0) const;

 private:
  struct Entry {
    WeightMatrix matrix;
    std::vector<std::uint8_t> claimed;  // per row: 1 while it is being loaded and once it is; empty before the first
    std::int64_t missing = 0;           // rows not loaded yet
  };

  void store(WeightMatrix& matrix, const InputFile& file, const d4j_rows& rows) const;
  Entry& entry_of(const d4j_rows& rows);
  void claim(Entry& entry, const d4j_rows& rows);
  static void release(Entry& entry, const d4j_rows& rows, std::int64_t count);

  bool packs_tied_head_;
  std::unique_ptr<Smoothing> smoothing_;                  // while int8 and int4 are loaded, else null
  std::array<std::vector<Entry>, D4J_SLOT_COUNT> slots_;  // entries by layer; none where the decoder lacks the slot
  mutable std::mutex mutex_;                              // of claimed and missing
};

}  // namespace dolly4j
