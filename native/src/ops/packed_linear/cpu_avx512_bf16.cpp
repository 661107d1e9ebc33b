#include "cpu/vector_avx512.h"
#include "ops/packed_linear/avx512_sizes.h"
#include "ops/packed_linear/fma_kernels.h"
#include "ops/packed_linear/kernels.h"

namespace dolly4j {
namespace {

// Products of pairs, both of them added by one VDPBF16PS: the odd one first, denormals flushed.
struct PairProducts {
  using F = Avx512::F;
  using Pairs = Avx512::Pairs;

  static Pairs broadcast(const bfloat16* pair) {
    int bits;
    std::memcpy(&bits, pair, sizeof bits);
    return _mm512_set1_epi32(bits);
  }
  static F fma(Pairs x, Pairs w, F a) {
    return _mm512_dpbf16_ps(a, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(w));
  }
};

struct DotSums {
  using V = Avx512;
  using X = bfloat16;
  static constexpr int kInputs = kTileInputs;
  static constexpr int kNumbers = kTileInputs;
  static constexpr int kTileBytes = kTileInputs / 2 * kInputPairBytes;

  static constexpr int kRowAhead = 8 * kTileRows * kTileInputs;  // numbers: the same row's, 8 tiles on

  static void read_x(const Activations& x, int row, int tile, X* to) {
    const auto* from = static_cast<const bfloat16*>(x.data) + x.place(row, tile * kTileInputs);
    V::prefetch(from + kRowAhead);
    _mm512_storeu_si512(to, _mm512_loadu_si512(from));
  }

  template <int R, int B>
  [[gnu::noinline]] static void add_tiles(const SumPanel<X>& panel) {
    auto sum = Accumulators<V, R, B>::load(panel);
    const std::uint8_t* weight = panel.weight;
    const X* x = panel.x;
    Ahead<V, B> ahead(panel);
    for (int tile = 0; tile < panel.tiles; ++tile) {
      for (int k = 0; k < kTileInputs; k += 2) {
        ahead.fetch();
        sum.template add_products<PairProducts>(x + k,
                                                [&](int b) { return V::load_pairs(weight + b * panel.block_bytes); });
        weight += kInputPairBytes;
      }
      x += R * kTileInputs;
    }
    sum.store(panel);
  }
};

}  // namespace

PackedLinear packed_linear_avx512_bf16() { return kernels<VectorLinear<DotSums, Avx512Sizes>>(); }

}  // namespace dolly4j
