#include "ops/packed_linear.h"

#include <cstring>
#include <vector>

#include "cpu/aligned_memory.h"
#include "cpu/flush_denormals.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {
namespace {

#if defined(__x86_64__)

// Numbers of both signs and many sizes, so that the order of a sum shows in its bits; some so small that their products
// are denormal, some denormal themselves.
std::vector<bfloat16> check_numbers(std::int64_t count) {
  std::vector<bfloat16> numbers(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  for (bfloat16& number : numbers) {
    state = state * 1664525U + 1013904223U;
    const std::uint32_t fraction_and_sign = state >> 16 & 0x807fU;
    const std::uint32_t draw = state >> 8 & 0xffU;
    const std::uint32_t exponent = draw < 4 ? 0 : draw < 16 ? 60 + draw % 8 : 120 + draw % 16;
    number.bits = static_cast<std::uint16_t>(fraction_and_sign | exponent << 7);
  }
  return numbers;
}

// Whether a kernel that computes by an instruction for bfloat16 has the bits of the order. Makers of CPUs document
// these instructions differently.
bool has_order(const PackedLinear& kernel, SumOrder order) {
  constexpr int kRows = 17;
  constexpr int kOutputs = 32;
  constexpr int kInputs = 96;
  const std::vector<bfloat16> rows = check_numbers(kOutputs * kInputs);
  const AlignedMemory packed(kOutputs * kInputs * sizeof(bfloat16), "a check of the CPU");
  PackedWeight weight{WeightType::bfloat16, kOutputs, kInputs, packed.data(), nullptr};
  pack_outputs(weight, packed.data(), 0, kOutputs, rows.data());

  const std::int64_t elements = activation_elements(kRows, kInputs);
  const std::vector<bfloat16> numbers = check_numbers(elements);
  const AlignedMemory x(static_cast<std::size_t>(elements) * sizeof(bfloat16), "a check of the CPU");
  std::memcpy(x.data(), numbers.data(), x.bytes());

  std::vector<float> actual(kRows * kOutputs);
  std::vector<float> expected(kRows * kOutputs);
  PackedLinearArgs args{};
  args.weight = weight;
  args.order = order;
  args.x = {x.data(), DType::bfloat16, kInputs};
  args.rows = kRows;
  args.result = LinearResult::store;
  args.y_stride = kOutputs;
  args.y = expected.data();
  packed_linear_oracle(args);
  args.y = actual.data();
  const AlignedMemory prepared(static_cast<std::size_t>(kernel.prepared_bytes(kRows, kInputs)), "a check of the CPU");
  const AlignedMemory scratch(static_cast<std::size_t>(kernel.scratch_bytes(kRows)), "a check of the CPU");
  args.prepared = prepared.data();
  const FlushDenormals flush;
  kernel.prepare(args, 0, kRows);
  kernel.run(args, 0, weight.blocks(), scratch.data());
  return std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)) == 0;
}

bool tdpbf16ps_has_tiles_order() {
  static const bool result = has_order(packed_linear_amx(WeightType::bfloat16), SumOrder::tiles);
  return result;
}

#endif

}  // namespace

#if defined(__x86_64__)
bool vdpbf16ps_has_pairs_order() {
  static const bool result = has_order(packed_linear_avx512_bf16(), SumOrder::pairs);
  return result;
}
#endif

PackedLinear packed_linear(Isa isa, WeightType type, SumOrder order) {
#if defined(__x86_64__)
  // Pairs on a CPU with AMX: by AVX-512, since VDPBF16PS is slower there than two multiply-adds.
  if (isa == Isa::avx512_bf16 && type == WeightType::bfloat16 && order == SumOrder::pairs &&
      vdpbf16ps_has_pairs_order()) {
    return packed_linear_avx512_bf16();
  }
  if (isa == Isa::amx &&
      (in_groups(type) || (type == WeightType::bfloat16 && order == SumOrder::tiles && tdpbf16ps_has_tiles_order()))) {
    return packed_linear_amx(type);
  }
  if (isa >= Isa::avx512) {
    return packed_linear_avx512(type, order);
  }
  if (isa == Isa::avx2) {
    return packed_linear_avx2(type, order);
  }
#else
  static_cast<void>(isa);
#endif
  return packed_linear_generic(type, order);
}

}  // namespace dolly4j
