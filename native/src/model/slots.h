// Names, shapes and types of the weight slots of a decoder.
#pragma once

#include <cstdint>

#include "dolly4j.h"

namespace dolly4j {

enum class SlotKind {
  matrix,  // of a matmul, or the embedding
  bias,    // of a matmul
  norm,    // weight or bias; float32 whatever the compute type
};

struct SlotShape {
  std::int64_t rows;
  std::int64_t columns;  // 1 for vectors
  SlotKind kind;
  bool per_layer;
  bool present;  // the decoder has this slot
};

/// Throws D4J_INVALID_ARGUMENT unless every size of the spec is sane and they fit each other.
void check_spec(const d4j_decoder_spec& spec);

/// Shape of a slot in a decoder; the spec has passed check_spec.
SlotShape slot_shape(const d4j_decoder_spec& spec, d4j_slot slot);

/// Name for messages, for example "qkv.weight".
const char* slot_name(d4j_slot slot);

}  // namespace dolly4j
