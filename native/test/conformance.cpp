#include "conformance.h"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "comparison.h"

namespace dolly4j::test {
namespace {

// magnitude of layer_norm, per row and before gamma: its largest number, normalised, since rounding that (or the mean)
// shifts all.
std::vector<double> normalised_largest(const LayerNormArgs& args) {
  std::vector<double> result;
  for (int t = 0; t < args.rows; t++) {
    const float* row = args.x + std::int64_t{t} * args.hidden_size;
    double sum = 0;
    double largest = 0;
    for (int i = 0; i < args.hidden_size; i++) {
      sum += row[i];
      largest = std::max(largest, magnitude(row[i]));
    }
    double squares = 0;
    for (int i = 0; i < args.hidden_size; i++) {
      squares += std::pow(row[i] - sum / args.hidden_size, 2);
    }
    result.push_back(largest / std::sqrt(squares / args.hidden_size + static_cast<double>(args.epsilon)));
  }
  return result;
}

// magnitude of linear: the sum of the products' magnitudes.
Scale linear_scale(const LinearArgs& args, const Buffer& expected, std::int64_t i) {
  const std::int64_t row = i / args.outputs;
  const std::int64_t output = i % args.outputs;
  double sum = args.bias == nullptr ? 0 : magnitude(args.bias[output]);
  for (std::int64_t k = 0; k < args.inputs; k++) {
    sum += magnitude(args.x.at(row * args.inputs + k)) * magnitude(args.weight.at(output * args.inputs + k));
  }
  return {sum, magnitude(expected.at(i))};
}

// magnitude of rotary: the two numbers that are turned.
Scale rotary_scale(const RotaryArgs& args, const float* in, const Buffer& expected, std::int64_t i) {
  const std::int64_t width = std::int64_t{args.heads} * args.head_size;
  const int element = static_cast<int>(i % args.head_size);
  const int half = args.rotary_dims / 2;
  const float* head = in + i / width * args.input_stride + i % width - element;
  double sum = magnitude(head[element]);
  if (element < args.rotary_dims) {
    sum += magnitude(head[element < half ? element + half : element - half]);
  }
  return {sum, magnitude(expected.at(i))};
}

// Scales of one row and head of attention. magnitude: the largest |v|, times one plus the largest sum of |q k|, since
// an error of a score is a relative error of its probability.
std::vector<Scale> attention_scales(const PagedAttentionArgs& args, int sequence, int row, int head) {
  const int head_size = args.head_size;
  const std::int64_t q = (std::int64_t{row} * args.heads + head) * head_size;
  const double root = std::sqrt(static_cast<double>(head_size));
  std::vector<double> scores;
  double largest_sum = 0;
  for (int j = 0; j <= args.batch.positions[row]; j++) {
    const std::int64_t k = (args.batch.slot(sequence, j) * args.heads + head) * head_size;
    double dot = 0;
    double sum = 0;
    for (int i = 0; i < head_size; i++) {
      const double product = static_cast<double>(args.q.at(q + i)) * static_cast<double>(args.keys.at(k + i));
      dot += product;
      sum += std::abs(product);
    }
    scores.push_back(dot / root);
    largest_sum = std::max(largest_sum, sum / root);
  }
  const double highest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double score : scores) {
    total += std::exp(score - highest);
  }
  std::vector<Scale> scales(head_size, Scale{0, 0});
  for (int j = 0; j <= args.batch.positions[row]; j++) {
    const std::int64_t v = (args.batch.slot(sequence, j) * args.heads + head) * head_size;
    for (int i = 0; i < head_size; i++) {
      const double value = magnitude(args.values.at(v + i));
      scales[i].magnitude = std::max(scales[i].magnitude, value * (1 + largest_sum));
      scales[i].value += std::exp(scores[j] - highest) / total * value;
    }
  }
  return scales;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const Conformance& result) {
  stream << result.failures.size() << " of " << result.cases << " cases failed, " << result.left_out << " left out";
  if (result.worst > 0) {
    stream << "; largest difference that passed: " << result.worst << " of what is allowed (" << result.worst_case
           << ")";
  }
  for (const std::string& failure : result.failures) {
    stream << "\n  " << failure;
  }
  return stream;
}

Conformance check_embedding(const Implementation<EmbeddingArgs>& implementation, Device device,
                            const Supports<EmbeddingShape>& supports) {
  Comparison comparison;
  return comparison.over(embedding_shapes(), supports, [&](const EmbeddingShape& shape, std::uint64_t seed) {
    const EmbeddingCase test(shape, seed);
    Buffer actual(std::int64_t{shape.rows} * shape.hidden_size, DType::float32);
    Buffer expected = actual;
    embedding_oracle(test.args(expected));
    implementation(test.args(actual));
    comparison.compare_exact("y", actual, expected, tolerance(Op::embedding, device, shape.table, DType::float32));
  });
}

Conformance check_layer_norm(const Implementation<LayerNormArgs>& implementation, Device device,
                             const Supports<LayerNormShape>& supports) {
  Comparison comparison;
  return comparison.over(layer_norm_shapes(), supports, [&](const LayerNormShape& shape, std::uint64_t seed) {
    LayerNormCase test(shape, seed);
    std::vector<Buffer> actual = test.outputs();
    std::vector<Buffer> expected = test.outputs();
    layer_norm_oracle(test.args(expected));
    implementation(test.args(actual));
    const LayerNormArgs args = test.args(actual);
    const std::vector<double> largest = normalised_largest(args);
    for (int n = 0; n < shape.norms; n++) {
      comparison.compare(n == 0 ? "first y" : "second y", actual[n], expected[n],
                         tolerance(Op::layer_norm, device, DType::float32, shape.y), [&](std::int64_t i) {
                           const std::int64_t column = i % shape.hidden_size;
                           return Scale{largest[i / shape.hidden_size] * magnitude(args.norms[n].gamma[column]) +
                                            magnitude(args.norms[n].beta[column]),
                                        magnitude(expected[n].at(i))};
                         });
    }
  });
}

Conformance check_linear(const Implementation<LinearArgs>& implementation, Device device,
                         const Supports<LinearShape>& supports) {
  Comparison comparison;
  return comparison.over(linear_shapes(), supports, [&](const LinearShape& shape, std::uint64_t seed) {
    const LinearCase test(shape, seed);
    Buffer actual(std::int64_t{shape.rows} * shape.outputs, shape.y);
    Buffer expected = actual;
    linear_oracle(test.args(expected));
    const LinearArgs args = test.args(actual);
    implementation(args);
    comparison.compare("y", actual, expected, tolerance(Op::linear, device, shape.inputs_type, shape.y),
                       [&](std::int64_t i) { return linear_scale(args, expected, i); });
  });
}

Conformance check_gelu(const Implementation<GeluArgs>& implementation, Device device,
                       const Supports<GeluShape>& supports) {
  Comparison comparison;
  return comparison.over(gelu_shapes(), supports, [&](const GeluShape& shape, std::uint64_t seed) {
    const GeluCase test(shape, seed);
    Buffer actual(shape.count, shape.y);
    Buffer expected = actual;
    gelu_oracle(test.args(expected));
    const GeluArgs args = test.args(actual);
    implementation(args);
    const auto scale_of = [&](std::int64_t i) { return Scale{magnitude(args.x[i]), magnitude(expected.at(i))}; };
    comparison.compare("y", actual, expected, tolerance(Op::gelu, device, DType::float32, shape.y), scale_of);
  });
}

Conformance check_rotary(const Implementation<RotaryArgs>& implementation, Device device,
                         const Supports<RotaryShape>& supports) {
  Comparison comparison;
  return comparison.over(rotary_shapes(), supports, [&](const RotaryShape& shape, std::uint64_t seed) {
    const RotaryCase test(shape, seed);
    const std::int64_t count = std::int64_t{shape.rows} * shape.heads * shape.head_size;
    Buffer actual_q(count, shape.q_out);
    Buffer actual_k(count, shape.k_out);
    Buffer expected_q = actual_q;
    Buffer expected_k = actual_k;
    rotary_oracle(test.args(expected_q, expected_k));
    const RotaryArgs args = test.args(actual_q, actual_k);
    implementation(args);
    comparison.compare("q_out", actual_q, expected_q, tolerance(Op::rotary, device, DType::float32, shape.q_out),
                       [&](std::int64_t i) { return rotary_scale(args, args.q, expected_q, i); });
    comparison.compare("k_out", actual_k, expected_k, tolerance(Op::rotary, device, DType::float32, shape.k_out),
                       [&](std::int64_t i) { return rotary_scale(args, args.k, expected_k, i); });
  });
}

Conformance check_kv_append(const Implementation<KvAppendArgs>& implementation, Device device,
                            const Supports<KvAppendShape>& supports) {
  Comparison comparison;
  return comparison.over(kv_append_shapes(), supports, [&](const KvAppendShape& shape, std::uint64_t seed) {
    const KvAppendCase test(shape, seed);
    Buffer actual_keys = test.cache();
    Buffer actual_values = test.cache();
    Buffer expected_keys = test.cache();
    Buffer expected_values = test.cache();
    kv_append_oracle(test.args(expected_keys, expected_values));
    implementation(test.args(actual_keys, actual_values));
    const Tolerance exact = tolerance(Op::kv_append, device, DType::float32, shape.cache);
    comparison.compare_exact("keys", actual_keys, expected_keys, exact);
    comparison.compare_exact("values", actual_values, expected_values, exact);
  });
}

Conformance check_paged_attention(const Implementation<PagedAttentionArgs>& implementation, Device device,
                                  const Supports<PagedAttentionShape>& supports) {
  Comparison comparison;
  return comparison.over(paged_attention_shapes(), supports, [&](const PagedAttentionShape& shape, std::uint64_t seed) {
    const PagedAttentionCase test(shape, seed);
    Buffer unwritten(0, shape.y);
    const RaggedBatch batch = test.args(unwritten).batch;
    Buffer actual(std::int64_t{batch.rows} * shape.heads * shape.head_size, shape.y);
    Buffer expected = actual;
    paged_attention_oracle(test.args(expected));
    const PagedAttentionArgs args = test.args(actual);
    implementation(args);
    std::vector<Scale> scales;
    for (int s = 0; s < batch.sequences; s++) {
      for (int t = batch.sequence_starts[s]; t < batch.sequence_starts[s + 1]; t++) {
        for (int h = 0; h < shape.heads; h++) {
          const std::vector<Scale> head = attention_scales(args, s, t, h);
          scales.insert(scales.end(), head.begin(), head.end());
        }
      }
    }
    comparison.compare("y", actual, expected, tolerance(Op::paged_attention, device, shape.cache, shape.y),
                       [&](std::int64_t i) { return scales[i]; });
  });
}

Conformance check_residual_add(const Implementation<ResidualAddArgs>& implementation, Device device,
                               const Supports<ResidualAddShape>& supports) {
  Comparison comparison;
  return comparison.over(residual_add_shapes(), supports, [&](const ResidualAddShape& shape, std::uint64_t seed) {
    const ResidualAddCase test(shape, seed);
    Buffer actual = test.h();
    Buffer expected = test.h();
    residual_add_oracle(test.args(expected));
    implementation(test.args(actual));
    comparison.compare_exact("h", actual, expected,
                             tolerance(Op::residual_add, device, DType::float32, DType::float32));
  });
}

}  // namespace dolly4j::test
