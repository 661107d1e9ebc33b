// What the sessions of a decoder on the CPU kernels share: the ops for this CPU, and the weights as they take them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "cpu/isa.h"
#include "dolly4j.h"
#include "model/weights.h"
#include "ops/cached_attention.h"
#include "ops/packed_kv_cache.h"
#include "ops/packed_linear.h"
#include "ops/rotary_append.h"
#include "ops/tiled_layer_norm.h"

namespace dolly4j {

/// packed_linear.h for the types of weights that a decoder has.
class PackedLinears {
 public:
  PackedLinears(Isa isa, SumOrder order, std::initializer_list<WeightType> types);

  void prepare(const PackedLinearArgs& args, int first_row, int last_row) const {
    of(args.weight.type).prepare(args, first_row, last_row);
  }

  void run(const PackedLinearArgs& args, int first_block, int last_block, void* scratch) const {
    of(args.weight.type).run(args, first_block, last_block, scratch);
  }

  /// Of the type that needs most.
  std::int64_t prepared_bytes(int rows, int inputs) const;
  std::int64_t scratch_bytes(int rows) const;

 private:
  const PackedLinear& of(WeightType type) const { return linears_[static_cast<std::size_t>(type)]; }

  static constexpr std::size_t kTypes = 4;

  std::vector<WeightType> types_;
  std::array<PackedLinear, kTypes> linears_{};  // by type, those of types_
};

/// cos and sin of the angles of ops/rotary.h, [positions, rotary_dims / 2] each.
struct RotaryTable {
  std::vector<float> cosines;
  std::vector<float> sines;

  explicit RotaryTable(const d4j_decoder_spec& spec);
};

struct KernelModel {
  struct Norm {
    const float* gamma;
    const float* beta;
  };

  struct Layer {
    Norm attention_norm;
    Norm ffn_norm;  // the attention's where the norm is shared
    PackedWeight qkv;
    PackedWeight dense;
    PackedWeight fc1;
    PackedWeight fc2;
  };

  d4j_decoder_spec spec;
  DType dtype;  // of inputs of matmuls
  int threads;
  SumOrder order;
  PackedLinears linears;
  CachedAttention attention;
  RotaryAppendFn append;
  TiledLayerNormFn layer_norm;
  std::shared_ptr<const Weights> weights;  // the memory of what follows
  Input embedding;
  std::vector<Layer> layers;
  Norm final_norm;
  PackedWeight head;
  PackedKvCache cache_shape;  // of a layer, without memory
  RotaryTable rotary;
};

/// Of complete weights in the packed layout. Throws D4J_INVALID_ARGUMENT if the environment variable DOLLY4J_ISA names
/// no instruction set of this CPU.
KernelModel kernel_model(const d4j_decoder_spec& spec, const d4j_model_options& options,
                         const std::shared_ptr<const Weights>& weights);

/// The KV cache of a layer of these decoders, without memory.
PackedKvCache kv_cache_shape(const d4j_decoder_spec& spec, d4j_dtype kv_type);

}  // namespace dolly4j
