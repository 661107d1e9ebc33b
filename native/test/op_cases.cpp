#include "op_cases.h"

#include <cmath>
#include <sstream>

#include "random.h"

namespace dolly4j::test {
namespace {

constexpr int kHeadSizes[] = {16, 20, 24, 32, 64, 80, 96, 128, 256};
constexpr DType kTypes[] = {DType::float32, DType::bfloat16};

const char* name(DType dtype) { return dtype == DType::float32 ? "float32" : "bfloat16"; }

template <class... Parts>
std::string joined(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

// Block borders from both sides, single tokens deep in the context, chunks of prompts, and all of them at once.
std::vector<std::vector<SequenceShape>> batches() {
  return {
      {{0, 1}},
      {{0, 7}},
      {{0, 16}},
      {{0, 33}},
      {{13, 20}},
      {{1, 1}, {15, 1}, {16, 1}, {33, 1}, {200, 1}},
      {{31, 1}, {0, 5}, {48, 17}, {7, 2}},
  };
}

}  // namespace

// ---- embedding ----

std::string describe(const EmbeddingShape& shape) {
  return joined("rows ", shape.rows, ", vocab ", shape.vocab_size, ", hidden ", shape.hidden_size, ", ",
                name(shape.table));
}

std::vector<EmbeddingShape> embedding_shapes() {
  std::vector<EmbeddingShape> shapes;
  for (DType table : kTypes) {
    for (int hidden : {1, 60, 64, 2560}) {
      for (int rows : {1, 7, 33}) {
        shapes.push_back({rows, 321, hidden, table});
      }
    }
  }
  return shapes;
}

EmbeddingCase::EmbeddingCase(const EmbeddingShape& shape, std::uint64_t seed) : shape_(shape), table_(0, shape.table) {
  Random random(seed);
  for (int t = 0; t < shape.rows; t++) {
    tokens_.push_back(random.below(shape.vocab_size));
  }
  tokens_.front() = shape.vocab_size - 1;
  tokens_.back() = 0;
  table_ = Buffer(random.normals(std::int64_t{shape.vocab_size} * shape.hidden_size), shape.table);
}

EmbeddingArgs EmbeddingCase::args(Buffer& y) const {
  return {tokens_.data(), table_.input(), static_cast<float*>(y.output().data), shape_.rows, shape_.hidden_size};
}

// ---- layer_norm ----

std::string describe(const LayerNormShape& shape) {
  constexpr const char* kKinds[] = {"usual", "offset", "tiny", "outliers", "constant"};
  return joined("rows ", shape.rows, ", hidden ", shape.hidden_size, ", norms ", shape.norms, ", ",
                kKinds[static_cast<int>(shape.kind)], " rows, y ", name(shape.y));
}

std::vector<LayerNormShape> layer_norm_shapes() {
  std::vector<LayerNormShape> shapes;
  for (DType y : kTypes) {
    for (NormRows kind : {NormRows::usual, NormRows::offset, NormRows::tiny, NormRows::outliers, NormRows::constant}) {
      for (int hidden : {1, 16, 60, 321, 2560, 5120}) {
        shapes.push_back({1, hidden, 1, kind, y});
        shapes.push_back({7, hidden, 2, kind, y});
      }
    }
  }
  return shapes;
}

LayerNormCase::LayerNormCase(const LayerNormShape& shape, std::uint64_t seed) : shape_(shape) {
  Random random(seed);
  const std::int64_t count = std::int64_t{shape.rows} * shape.hidden_size;
  switch (shape.kind) {
    case NormRows::usual:
      x_ = random.normals(count);
      break;
    case NormRows::offset:
      x_ = random.normals(count, 1, 100);
      break;
    case NormRows::tiny:
      x_ = random.normals(count, 1e-3F);
      break;
    case NormRows::outliers:
      x_ = random.normals(count);
      for (std::int64_t i = 3; i < count; i += 97) {
        x_[i] *= 50;
      }
      break;
    case NormRows::constant:
      x_.assign(count, 0.25F);  // its sums are exact in float32
      break;
  }
  for (int n = 0; n < shape.norms; n++) {
    gammas_[n] = random.normals(shape.hidden_size, 0.2F, 1);
    betas_[n] = random.normals(shape.hidden_size, 0.2F);
  }
}

LayerNormArgs LayerNormCase::args(std::vector<Buffer>& y) {
  norms_.clear();
  for (int n = 0; n < shape_.norms; n++) {
    norms_.push_back({gammas_[n].data(), betas_[n].data(), y[n].output()});
  }
  return {x_.data(), norms_.data(), shape_.norms, shape_.rows, shape_.hidden_size, 1e-5F};
}

std::vector<Buffer> LayerNormCase::outputs() const {
  return std::vector<Buffer>(shape_.norms, Buffer(std::int64_t{shape_.rows} * shape_.hidden_size, shape_.y));
}

// ---- linear ----

std::string describe(const LinearShape& shape) {
  return joined("rows ", shape.rows, ", outputs ", shape.outputs, ", inputs ", shape.inputs, ", ",
                name(shape.inputs_type), ", y ", name(shape.y), shape.bias ? ", bias" : ", no bias");
}

std::vector<LinearShape> linear_shapes() {
  struct Size {
    int rows;
    int outputs;
    int inputs;
  };
  constexpr Size kSizes[] = {
      {1, 1, 1},    {1, 321, 60},  {7, 180, 60},  {3, 331, 64},   {2, 17, 33},   {17, 48, 256}, {33, 96, 80},
      {64, 50, 65}, {1, 96, 2560}, {5, 33, 2560}, {1, 20, 10240}, {2, 7, 10240}, {16, 63, 512}, {1, 16, 16},
  };
  std::vector<LinearShape> shapes;
  for (const Size& size : kSizes) {
    for (bool bias : {true, false}) {
      shapes.push_back({size.rows, size.outputs, size.inputs, DType::float32, DType::float32, bias});
      shapes.push_back({size.rows, size.outputs, size.inputs, DType::bfloat16, DType::float32, bias});
      shapes.push_back({size.rows, size.outputs, size.inputs, DType::bfloat16, DType::bfloat16, bias});
    }
  }
  return shapes;
}

LinearCase::LinearCase(const LinearShape& shape, std::uint64_t seed)
    : shape_(shape), x_(0, shape.inputs_type), weight_(0, shape.inputs_type) {
  Random random(seed);
  x_ = Buffer(random.normals(std::int64_t{shape.rows} * shape.inputs), shape.inputs_type);
  const float deviation = 1 / std::sqrt(static_cast<float>(shape.inputs));
  weight_ = Buffer(random.normals(std::int64_t{shape.outputs} * shape.inputs, deviation), shape.inputs_type);
  if (shape.bias) {
    // A decoder's bias has the type of its weights, whatever it is added in.
    bias_ = Buffer(random.normals(shape.outputs), shape.inputs_type).floats();
  }
}

LinearArgs LinearCase::args(Buffer& y) const {
  return {x_.input(),     weight_.input(), shape_.bias ? bias_.data() : nullptr, y.output(), shape_.rows,
          shape_.outputs, shape_.inputs};
}

// ---- gelu ----

std::string describe(const GeluShape& shape) {
  return joined("count ", shape.count, ", ", shape.form == GeluForm::erf ? "erf" : "tanh", ", y ", name(shape.y));
}

std::vector<GeluShape> gelu_shapes() {
  std::vector<GeluShape> shapes;
  for (DType y : kTypes) {
    for (GeluForm form : {GeluForm::erf, GeluForm::tanh}) {
      for (std::int64_t count : {1, 7, 60, 1009, 71680}) {
        shapes.push_back({count, form, y});
      }
    }
  }
  return shapes;
}

GeluCase::GeluCase(const GeluShape& shape, std::uint64_t seed) : shape_(shape) {
  Random random(seed);
  x_ = random.normals(shape.count, 2);
  constexpr float kCorners[] = {0.0F, -0.0F, 1e-30F, -1e-30F, 6.0F, -6.0F, 12.0F, -12.0F, 300.0F, -300.0F};
  for (int i = 0; shape.count > 20 && i < 10; i++) {
    x_[i] = kCorners[i];
  }
}

GeluArgs GeluCase::args(Buffer& y) const { return {x_.data(), y.output(), shape_.count, shape_.form}; }

// ---- rotary ----

std::string describe(const RotaryShape& shape) {
  return joined("rows ", shape.rows, ", heads ", shape.heads, " of ", shape.head_size, ", rotary dims ",
                shape.rotary_dims, shape.fused ? ", fused, q " : ", dense, q ", name(shape.q_out), ", k ",
                name(shape.k_out));
}

std::vector<RotaryShape> rotary_shapes() {
  std::vector<RotaryShape> shapes;
  for (int head_size : kHeadSizes) {
    for (int rotary_dims : {head_size / 4 / 2 * 2, head_size / 2, head_size}) {
      for (bool fused : {true, false}) {
        shapes.push_back({1, 1, head_size, rotary_dims, fused, DType::float32, DType::float32});
        shapes.push_back({7, 3, head_size, rotary_dims, fused, DType::float32, DType::float32});
        shapes.push_back({33, 2, head_size, rotary_dims, fused, DType::bfloat16, DType::float32});
        shapes.push_back({7, 3, head_size, rotary_dims, fused, DType::bfloat16, DType::bfloat16});
      }
    }
  }
  shapes.push_back({7, 3, 20, 0, true, DType::float32, DType::float32});
  return shapes;
}

RotaryCase::RotaryCase(const RotaryShape& shape, std::uint64_t seed) : shape_(shape) {
  Random random(seed);
  const std::int64_t width = std::int64_t{shape.heads} * shape.head_size;
  qkv_ = random.normals(shape.rows * width * (shape.fused ? 3 : 2));
  for (int t = 0; t < shape.rows; t++) {
    positions_.push_back(random.below(4096));
  }
  inverse_frequencies_ = rotary_inverse_frequencies(shape.rotary_dims, 10000);
}

RotaryArgs RotaryCase::args(Buffer& q_out, Buffer& k_out) const {
  const std::int64_t width = std::int64_t{shape_.heads} * shape_.head_size;
  const float* k = qkv_.data() + (shape_.fused ? width : shape_.rows * width);
  return {qkv_.data(),
          k,
          shape_.fused ? 3 * width : width,
          positions_.data(),
          inverse_frequencies_.data(),
          q_out.output(),
          k_out.output(),
          shape_.rows,
          shape_.heads,
          shape_.head_size,
          shape_.rotary_dims};
}

// ---- kv_append ----

std::string describe(const KvAppendShape& shape) {
  return joined("sequences ", describe(shape.sequences), ", heads ", shape.heads, " of ", shape.head_size, ", ",
                name(shape.cache));
}

std::vector<KvAppendShape> kv_append_shapes() {
  std::vector<KvAppendShape> shapes;
  for (const std::vector<SequenceShape>& sequences : batches()) {
    for (int head_size : kHeadSizes) {
      for (DType cache : kTypes) {
        shapes.push_back({sequences, head_size > 100 ? 1 : 3, head_size, cache});
      }
    }
  }
  return shapes;
}

KvAppendCase::KvAppendCase(const KvAppendShape& shape, std::uint64_t seed)
    : shape_(shape), batch_(shape.sequences, seed), cache_(0, shape.cache) {
  Random random(seed);
  const std::int64_t width = std::int64_t{shape.heads} * shape.head_size;
  k_ = random.normals(batch_.rows() * width);
  qkv_ = random.normals(batch_.rows() * 3 * width);
  cache_ = Buffer(random.normals(std::int64_t{batch_.blocks()} * kKvBlockSize * width), shape.cache);
}

KvAppendArgs KvAppendCase::args(Buffer& keys, Buffer& values) const {
  const std::int64_t width = std::int64_t{shape_.heads} * shape_.head_size;
  return {k_.data(),     width,        qkv_.data() + 2 * width, 3 * width, keys.output(), values.output(),
          batch_.view(), shape_.heads, shape_.head_size};
}

// ---- paged_attention ----

std::string describe(const PagedAttentionShape& shape) {
  return joined("sequences ", describe(shape.sequences), ", heads ", shape.heads, " of ", shape.head_size,
                ", q deviation ", shape.q_deviation, ", q ", name(shape.q), ", cache ", name(shape.cache), ", y ",
                name(shape.y));
}

std::vector<PagedAttentionShape> paged_attention_shapes() {
  constexpr DType f32 = DType::float32;
  constexpr DType b16 = DType::bfloat16;
  std::vector<PagedAttentionShape> shapes;
  for (int head_size : kHeadSizes) {
    for (const std::vector<SequenceShape>& sequences : batches()) {
      shapes.push_back({sequences, 3, head_size, 1, f32, f32, f32});
    }
    const std::vector<SequenceShape> mixed = batches().back();
    shapes.push_back({mixed, 2, head_size, 30, f32, f32, f32});
    for (float deviation : {1.0F, 30.0F}) {
      shapes.push_back({mixed, 2, head_size, deviation, f32, b16, f32});
      shapes.push_back({mixed, 2, head_size, deviation, b16, b16, b16});
      shapes.push_back({mixed, 2, head_size, deviation, b16, b16, f32});
      shapes.push_back({mixed, 2, head_size, deviation, f32, f32, b16});
    }
  }
  return shapes;
}

PagedAttentionCase::PagedAttentionCase(const PagedAttentionShape& shape, std::uint64_t seed)
    : shape_(shape),
      batch_(shape.sequences, seed),
      q_(0, shape.q),
      keys_(std::int64_t{batch_.blocks()} * kKvBlockSize * shape.heads * shape.head_size, shape.cache),
      values_(keys_.count(), shape.cache) {
  Random random(seed);
  const std::int64_t width = std::int64_t{shape.heads} * shape.head_size;
  q_ = Buffer(random.normals(batch_.rows() * width, shape.q_deviation), shape.q);
  const RaggedBatch batch = batch_.view();
  for (int s = 0; s < batch.sequences; s++) {
    for (int position = 0; position < batch.context_lengths[s]; position++) {
      for (std::int64_t i = 0; i < width; i++) {
        keys_.set(batch.slot(s, position) * width + i, random.normal());
        values_.set(batch.slot(s, position) * width + i, random.normal());
      }
    }
  }
}

PagedAttentionArgs PagedAttentionCase::args(Buffer& y) const {
  return {q_.input(), keys_.input(), values_.input(), y.output(), batch_.view(), shape_.heads, shape_.head_size};
}

// ---- residual_add ----

std::string describe(const ResidualAddShape& shape) {
  return joined("count ", shape.count, shape.parallel ? ", parallel" : ", sequential");
}

std::vector<ResidualAddShape> residual_add_shapes() {
  std::vector<ResidualAddShape> shapes;
  for (std::int64_t count : {1, 7, 60, 331, 17920}) {
    shapes.push_back({count, false});
    shapes.push_back({count, true});
  }
  return shapes;
}

ResidualAddCase::ResidualAddCase(const ResidualAddShape& shape, std::uint64_t seed) : shape_(shape) {
  Random random(seed);
  h_ = random.normals(shape.count, 10);
  a_ = random.normals(shape.count);
  b_ = random.normals(shape.count);
}

Buffer ResidualAddCase::h() const { return Buffer(h_, DType::float32); }

ResidualAddArgs ResidualAddCase::args(Buffer& h) const {
  return {static_cast<float*>(h.output().data), a_.data(), shape_.parallel ? b_.data() : nullptr, shape_.count};
}

}  // namespace dolly4j::test
