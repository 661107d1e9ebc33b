// Cases of every op for whoever implements it: shapes x types, and for each the random operands that a seed gives.
//
// A shape is a few integers; the case made from it owns the inputs and binds them, with outputs the caller gives, to
// the op's Args. Shapes are odd on purpose: no multiple of a vector width is safe to assume but in the paged cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "batches.h"
#include "buffer.h"
#include "ops/embedding.h"
#include "ops/gelu.h"
#include "ops/kv_append.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/paged_attention.h"
#include "ops/residual_add.h"
#include "ops/rotary.h"

namespace dolly4j::test {

// ---- embedding ----
struct EmbeddingShape {
  int rows;
  int vocab_size;
  int hidden_size;
  DType table;
};
std::string describe(const EmbeddingShape& shape);
std::vector<EmbeddingShape> embedding_shapes();

class EmbeddingCase {
 public:
  EmbeddingCase(const EmbeddingShape& shape, std::uint64_t seed);
  EmbeddingArgs args(Buffer& y) const;

 private:
  EmbeddingShape shape_;
  std::vector<std::int32_t> tokens_;
  Buffer table_;
};

// ---- layer_norm ----
// What the rows look like: usual; far from zero; smaller than epsilon; a few large channels; all numbers equal.
enum class NormRows { usual, offset, tiny, outliers, constant };
struct LayerNormShape {
  int rows;
  int hidden_size;
  int norms;
  NormRows kind;
  DType y;
};
std::string describe(const LayerNormShape& shape);
std::vector<LayerNormShape> layer_norm_shapes();

class LayerNormCase {
 public:
  LayerNormCase(const LayerNormShape& shape, std::uint64_t seed);
  // One y per norm; the Args point into this case and hold until the next call.
  LayerNormArgs args(std::vector<Buffer>& y);
  std::vector<Buffer> outputs() const;

 private:
  LayerNormShape shape_;
  std::vector<float> x_;
  std::vector<float> gammas_[2];
  std::vector<float> betas_[2];
  std::vector<LayerNormOutput> norms_;
};

// ---- linear ----
struct LinearShape {
  int rows;
  int outputs;
  int inputs;
  DType inputs_type;
  DType y;
  bool bias;
};
std::string describe(const LinearShape& shape);
std::vector<LinearShape> linear_shapes();

class LinearCase {
 public:
  LinearCase(const LinearShape& shape, std::uint64_t seed);
  LinearArgs args(Buffer& y) const;

 private:
  LinearShape shape_;
  Buffer x_;
  Buffer weight_;
  std::vector<float> bias_;
};

// ---- gelu ----
struct GeluShape {
  std::int64_t count;
  GeluForm form;
  DType y;
};
std::string describe(const GeluShape& shape);
std::vector<GeluShape> gelu_shapes();

class GeluCase {
 public:
  GeluCase(const GeluShape& shape, std::uint64_t seed);
  GeluArgs args(Buffer& y) const;

 private:
  GeluShape shape_;
  std::vector<float> x_;
};

// ---- rotary ----
struct RotaryShape {
  int rows;
  int heads;
  int head_size;
  int rotary_dims;
  bool fused;  // q and k are slices of rows of 3 * heads * head_size numbers
  DType q_out;
  DType k_out;
};
std::string describe(const RotaryShape& shape);
std::vector<RotaryShape> rotary_shapes();

class RotaryCase {
 public:
  RotaryCase(const RotaryShape& shape, std::uint64_t seed);
  RotaryArgs args(Buffer& q_out, Buffer& k_out) const;

 private:
  RotaryShape shape_;
  std::vector<float> qkv_;
  std::vector<std::int32_t> positions_;
  std::vector<float> inverse_frequencies_;
};

// ---- kv_append ----
struct KvAppendShape {
  std::vector<SequenceShape> sequences;
  int heads;
  int head_size;
  DType cache;
};
std::string describe(const KvAppendShape& shape);
std::vector<KvAppendShape> kv_append_shapes();

class KvAppendCase {
 public:
  KvAppendCase(const KvAppendShape& shape, std::uint64_t seed);
  // Keys and values before the op: random numbers in every slot.
  const Buffer& cache() const { return cache_; }
  KvAppendArgs args(Buffer& keys, Buffer& values) const;

 private:
  KvAppendShape shape_;
  OwnedBatch batch_;
  std::vector<float> k_;
  std::vector<float> qkv_;
  Buffer cache_;
};

// ---- paged_attention ----
struct PagedAttentionShape {
  std::vector<SequenceShape> sequences;
  int heads;
  int head_size;
  float q_deviation;  // 1: even probabilities; 30: scores in the hundreds, one position takes all
  DType q;
  DType cache;
  DType y;
};
std::string describe(const PagedAttentionShape& shape);
std::vector<PagedAttentionShape> paged_attention_shapes();

class PagedAttentionCase {
 public:
  PagedAttentionCase(const PagedAttentionShape& shape, std::uint64_t seed);
  PagedAttentionArgs args(Buffer& y) const;

 private:
  PagedAttentionShape shape_;
  OwnedBatch batch_;
  Buffer q_;
  Buffer keys_;
  Buffer values_;
};

// ---- residual_add ----
struct ResidualAddShape {
  std::int64_t count;
  bool parallel;
};
std::string describe(const ResidualAddShape& shape);
std::vector<ResidualAddShape> residual_add_shapes();

class ResidualAddCase {
 public:
  ResidualAddCase(const ResidualAddShape& shape, std::uint64_t seed);
  // h before the op.
  Buffer h() const;
  ResidualAddArgs args(Buffer& h) const;

 private:
  ResidualAddShape shape_;
  std::vector<float> h_;
  std::vector<float> a_;
  std::vector<float> b_;
};

}  // namespace dolly4j::test
