#include "peak_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dolly4j::bench {

#if defined(__x86_64__)

namespace {

// Rounds of a kernel that stays in registers, so that it takes as long as one that goes over the weights.
constexpr int kRegisterRounds = 4096;

// A vector type and its multiply-add for each instruction set. `kOperations` of one instruction, additions included.
// Functions of a struct carry the target of the kernels that inline them.

#define DOLLY4J_TARGET(isa) [[gnu::target(isa), gnu::always_inline]] static inline

struct Avx2Float32 {
  using Vector = __m256;
  static constexpr int kOperations = 16;
  DOLLY4J_TARGET("avx2,fma") Vector zero() { return _mm256_setzero_ps(); }
  DOLLY4J_TARGET("avx2,fma") Vector load(const std::uint8_t* from) {
    return _mm256_load_ps(reinterpret_cast<const float*>(from));
  }
  DOLLY4J_TARGET("avx2,fma") Vector broadcast(const std::uint8_t* from) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(from));
  }
  DOLLY4J_TARGET("avx2,fma") Vector multiply_add(Vector sum, Vector input, Vector weight) {
    return _mm256_fmadd_ps(input, weight, sum);
  }
  DOLLY4J_TARGET("avx2,fma") void store(std::uint8_t* to, Vector sum) {
    _mm256_store_ps(reinterpret_cast<float*>(to), sum);
  }
};

// Without VNNI three instructions do what one does with it.
struct Avx2Int8 {
  using Vector = __m256i;
  static constexpr int kOperations = 64;
  DOLLY4J_TARGET("avx2,fma") Vector zero() { return _mm256_setzero_si256(); }
  DOLLY4J_TARGET("avx2,fma") Vector load(const std::uint8_t* from) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
  }
  DOLLY4J_TARGET("avx2,fma") Vector broadcast(const std::uint8_t* from) {
    return _mm256_set1_epi32(*reinterpret_cast<const int*>(from));
  }
  DOLLY4J_TARGET("avx2,fma") Vector multiply_add(Vector sum, Vector input, Vector weight) {
    const Vector pairs = _mm256_maddubs_epi16(input, weight);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  DOLLY4J_TARGET("avx2,fma") void store(std::uint8_t* to, Vector sum) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), sum);
  }
};

#define DOLLY4J_AVX512 "avx512f,avx512bw,avx512dq,avx512vl"

struct Avx512Float32 {
  using Vector = __m512;
  static constexpr int kOperations = 32;
  DOLLY4J_TARGET(DOLLY4J_AVX512) Vector zero() { return _mm512_setzero_ps(); }
  DOLLY4J_TARGET(DOLLY4J_AVX512) Vector load(const std::uint8_t* from) { return _mm512_load_ps(from); }
  DOLLY4J_TARGET(DOLLY4J_AVX512) Vector broadcast(const std::uint8_t* from) {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(from));
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512) Vector multiply_add(Vector sum, Vector input, Vector weight) {
    return _mm512_fmadd_ps(input, weight, sum);
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512) void store(std::uint8_t* to, Vector sum) { _mm512_store_ps(to, sum); }
};

struct Avx512Bf16 {
  using Vector = __m512;
  using Pairs = __m512bh;
  static constexpr int kOperations = 64;
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512bf16") Vector zero() { return _mm512_setzero_ps(); }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512bf16") Pairs load(const std::uint8_t* from) {
    return reinterpret_cast<Pairs>(_mm512_load_si512(from));
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512bf16") Pairs broadcast(const std::uint8_t* from) {
    return reinterpret_cast<Pairs>(_mm512_set1_epi32(*reinterpret_cast<const int*>(from)));
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512bf16") Vector multiply_add(Vector sum, Pairs input, Pairs weight) {
    return _mm512_dpbf16_ps(sum, input, weight);
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512bf16") void store(std::uint8_t* to, Vector sum) { _mm512_store_ps(to, sum); }
};

struct Avx512Vnni {
  using Vector = __m512i;
  static constexpr int kOperations = 128;
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512vnni") Vector zero() { return _mm512_setzero_si512(); }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512vnni") Vector load(const std::uint8_t* from) { return _mm512_load_si512(from); }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512vnni") Vector broadcast(const std::uint8_t* from) {
    return _mm512_set1_epi32(*reinterpret_cast<const int*>(from));
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512vnni") Vector multiply_add(Vector sum, Vector input, Vector weight) {
    return _mm512_dpbusd_epi32(sum, input, weight);
  }
  DOLLY4J_TARGET(DOLLY4J_AVX512 ",avx512vnni") void store(std::uint8_t* to, Vector sum) { _mm512_store_si512(to, sum); }
};

// The loops, for a struct as above: a block of kRows inputs x kColumns vectors of weights is kept in registers. A
// template cannot be given a target that depends on its argument, hence the macro.
#define DOLLY4J_KERNELS(name, Traits, isa, kRows, kColumns)                                                    \
  [[gnu::target(isa)]] std::int64_t name##_registers(const Operands& operands) {                               \
    Traits::Vector sums[kRows * kColumns];                                                                     \
    for (auto& sum : sums) {                                                                                   \
      sum = Traits::zero();                                                                                    \
    }                                                                                                          \
    auto input = Traits::broadcast(operands.inputs);                                                           \
    auto weight = Traits::load(operands.weights);                                                              \
    for (int round = 0; round < kRegisterRounds; round++) {                                                    \
      asm volatile("" : "+v"(input), "+v"(weight)); /* or the compiler would multiply once and add the rest */ \
      for (auto& sum : sums) {                                                                                 \
        sum = Traits::multiply_add(sum, input, weight);                                                        \
      }                                                                                                        \
    }                                                                                                          \
    for (int i = 0; i < kRows * kColumns; i++) {                                                               \
      Traits::store(operands.results + 64 * i, sums[i]);                                                       \
    }                                                                                                          \
    return std::int64_t{kRegisterRounds} * kRows * kColumns * Traits::kOperations;                             \
  }                                                                                                            \
                                                                                                               \
  [[gnu::target(isa)]] std::int64_t name##_l2(const Operands& operands) {                                      \
    constexpr int kStep = kColumns * sizeof(Traits::Vector);                                                   \
    constexpr int kSteps = static_cast<int>(kInputBytes / 4 / kRows); /* a step takes 4 bytes of each input */ \
    constexpr int kPanels = static_cast<int>(kWeightBytes / kStep / kSteps);                                   \
    const std::uint8_t* weights = operands.weights;                                                            \
    for (int panel = 0; panel < kPanels; panel++) {                                                            \
      Traits::Vector sums[kRows][kColumns];                                                                    \
      for (auto& row : sums) {                                                                                 \
        for (auto& sum : row) {                                                                                \
          sum = Traits::zero();                                                                                \
        }                                                                                                      \
      }                                                                                                        \
      const std::uint8_t* inputs = operands.inputs;                                                            \
      for (int step = 0; step < kSteps; step++) {                                                              \
        decltype(Traits::load(weights)) weight[kColumns];                                                      \
        for (int column = 0; column < kColumns; column++) {                                                    \
          weight[column] = Traits::load(weights + column * sizeof(Traits::Vector));                            \
        }                                                                                                      \
        for (int row = 0; row < kRows; row++) {                                                                \
          const auto input = Traits::broadcast(inputs + 4 * row);                                              \
          for (int column = 0; column < kColumns; column++) {                                                  \
            sums[row][column] = Traits::multiply_add(sums[row][column], input, weight[column]);                \
          }                                                                                                    \
        }                                                                                                      \
        weights += kStep;                                                                                      \
        inputs += 4 * kRows;                                                                                   \
      }                                                                                                        \
      for (int i = 0; i < kRows * kColumns; i++) {                                                             \
        Traits::store(operands.results + 64 * i, sums[i / kColumns][i % kColumns]);                            \
      }                                                                                                        \
    }                                                                                                          \
    return std::int64_t{kPanels} * kSteps * kRows * kColumns * Traits::kOperations;                            \
  }

// Sixteen registers hold 6 x 2 sums, two weights, an input and what the multiply-add needs; thirty-two hold 12 x 2.
DOLLY4J_KERNELS(avx2_float32, Avx2Float32, "avx2,fma", 6, 2)
DOLLY4J_KERNELS(avx2_int8, Avx2Int8, "avx2,fma", 5, 2)
DOLLY4J_KERNELS(avx512_float32, Avx512Float32, DOLLY4J_AVX512, 12, 2)
DOLLY4J_KERNELS(avx512_bf16, Avx512Bf16, DOLLY4J_AVX512 ",avx512bf16", 12, 2)
DOLLY4J_KERNELS(avx512_vnni, Avx512Vnni, DOLLY4J_AVX512 ",avx512vnni", 12, 2)

// Tiles: 16 rows of 64 bytes. 2 x 2 tiles of sums; the tiles of both operands come from the L2 cache, since a panel of
// inputs is larger than L1 when K is a hidden size.
struct TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

constexpr int kTileBytes = 1024;
constexpr int kTileSteps = static_cast<int>(kWeightBytes / kTileBytes / 4);

#define DOLLY4J_TILE_KERNELS(name, isa, multiply, operations)                    \
  [[gnu::target(isa)]] std::int64_t name##_registers(const Operands& operands) { \
    const TileConfig config;                                                     \
    _tile_loadconfig(&config);                                                   \
    _tile_zero(0);                                                               \
    _tile_zero(1);                                                               \
    _tile_zero(2);                                                               \
    _tile_zero(3);                                                               \
    _tile_loadd(4, operands.inputs, 64);                                         \
    _tile_loadd(5, operands.inputs + kTileBytes, 64);                            \
    _tile_loadd(6, operands.weights, 64);                                        \
    _tile_loadd(7, operands.weights + kTileBytes, 64);                           \
    for (int round = 0; round < kRegisterRounds; round++) {                      \
      multiply(0, 4, 6);                                                         \
      multiply(1, 4, 7);                                                         \
      multiply(2, 5, 6);                                                         \
      multiply(3, 5, 7);                                                         \
    }                                                                            \
    _tile_stored(0, operands.results, 64);                                       \
    _tile_release();                                                             \
    return std::int64_t{kRegisterRounds} * 4 * operations;                       \
  }                                                                              \
                                                                                 \
  [[gnu::target(isa)]] std::int64_t name##_l2(const Operands& operands) {        \
    const TileConfig config;                                                     \
    _tile_loadconfig(&config);                                                   \
    _tile_zero(0);                                                               \
    _tile_zero(1);                                                               \
    _tile_zero(2);                                                               \
    _tile_zero(3);                                                               \
    const std::uint8_t* from = operands.weights;                                 \
    for (int step = 0; step < kTileSteps; step++) {                              \
      _tile_loadd(4, from, 64);                                                  \
      _tile_loadd(5, from + kTileBytes, 64);                                     \
      _tile_loadd(6, from + 2 * kTileBytes, 64);                                 \
      multiply(0, 4, 6);                                                         \
      multiply(2, 5, 6);                                                         \
      _tile_loadd(7, from + 3 * kTileBytes, 64);                                 \
      multiply(1, 4, 7);                                                         \
      multiply(3, 5, 7);                                                         \
      from += 4 * kTileBytes;                                                    \
    }                                                                            \
    _tile_stored(0, operands.results, 64);                                       \
    _tile_stored(1, operands.results + kTileBytes, 64);                          \
    _tile_stored(2, operands.results + 2 * kTileBytes, 64);                      \
    _tile_stored(3, operands.results + 3 * kTileBytes, 64);                      \
    _tile_release();                                                             \
    return std::int64_t{kTileSteps} * 4 * operations;                            \
  }

DOLLY4J_TILE_KERNELS(amx_bf16, "amx-tile,amx-bf16", _tile_dpbf16ps, (2 * 16 * 16 * 32))
DOLLY4J_TILE_KERNELS(amx_int8, "amx-tile,amx-int8", _tile_dpbusd, (2 * 16 * 16 * 64))

}  // namespace

std::vector<PeakKernel> peak_kernels() {
  std::vector<PeakKernel> kernels;
  for (const Isa isa : available_isas()) {
    switch (isa) {
      case Isa::generic:
        break;
      case Isa::avx2:
        kernels.push_back({"avx2 float32", avx2_float32_registers, avx2_float32_l2});
        kernels.push_back({"avx2 int8", avx2_int8_registers, avx2_int8_l2});
        break;
      case Isa::avx512:
        kernels.push_back({"avx512 float32", avx512_float32_registers, avx512_float32_l2});
        kernels.push_back({"avx512 int8", avx512_vnni_registers, avx512_vnni_l2});
        break;
      case Isa::avx512_bf16:
        kernels.push_back({"avx512 bfloat16", avx512_bf16_registers, avx512_bf16_l2});
        break;
      case Isa::amx:
        kernels.push_back({"amx bfloat16", amx_bf16_registers, amx_bf16_l2});
        kernels.push_back({"amx int8", amx_int8_registers, amx_int8_l2});
        break;
    }
  }
  return kernels;
}

#else

std::vector<PeakKernel> peak_kernels() { return {}; }

#endif

}  // namespace dolly4j::bench
