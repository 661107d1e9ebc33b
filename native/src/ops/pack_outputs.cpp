#include <algorithm>
#include <cstring>

#include "cpu/flush_denormals.h"
#include "cpu/isa.h"
#include "ops/packed_linear.h"
#include "ops/quantization.h"

namespace dolly4j {
namespace {

// A packed block of float32 or bfloat16 is a transposed matrix of 32-bit words, one word of a row being one float32 or
// a pair of bfloat16: word c of the 16 rows is a line of the block. 16 words of a row are one cache line, too: 16
// lines are read one after the other, since rows of 4096 bytes would push each other out of the cache if they were
// read word by word side by side.
constexpr int kWords = kLineBytes / static_cast<int>(sizeof(std::uint32_t));

struct Words {
  std::uint32_t row[kBlockOutputs][kWords];
};

// Words of rows `lane` .. lane + count - 1 into their places of 16 lines of the block.
void transpose(const Words& words, int lane, int count, std::uint32_t* lines) {
  for (int c = 0; c < kWords; ++c) {
    for (int r = 0; r < count; ++r) {
      lines[c * kBlockOutputs + lane + r] = words.row[r][c];
    }
  }
}

// `count` rows, 1 .. 16, as the lanes from `lane` on of a block of so many bytes.
void pack_rows(const std::uint8_t* rows, std::int64_t row_bytes, int lane, int count, void* block,
               std::int64_t block_bytes) {
  auto* lines = static_cast<std::uint32_t*>(block);
  for (std::int64_t at = 0; at < block_bytes / kBlockOutputs; at += kLineBytes) {
    Words words;
    if (row_bytes - at >= kLineBytes) {
      for (int r = 0; r < count; ++r) {
        std::memcpy(words.row[r], rows + r * row_bytes + at, kLineBytes);
      }
    } else {
      // The end of the rows, then padding.
      const auto bytes = static_cast<std::size_t>(std::max(row_bytes - at, std::int64_t{0}));
      for (int r = 0; r < count; ++r) {
        std::memset(words.row[r], 0, kLineBytes);
        std::memcpy(words.row[r], rows + (r + 1) * row_bytes - bytes, bytes);
      }
    }
    if (count == kBlockOutputs) {
      transpose(words, 0, kBlockOutputs, lines);
    } else {
      transpose(words, lane, count, lines);
    }
    lines += kWords * kBlockOutputs;
  }
}

// Calls put(block, first lane, lanes, first of these rows) for every block that the outputs reach into.
template <typename Put>
void for_blocks(const PackedWeight& weight, void* data, int first_output, int count, const Put& put) {
  for (int done = 0; done < count;) {
    const int output = first_output + done;
    const int lane = output % kBlockOutputs;
    const int lanes = std::min(kBlockOutputs - lane, count - done);
    put(static_cast<std::uint8_t*>(data) + output / kBlockOutputs * weight.block_bytes(), lane, lanes, done);
    done += lanes;
  }
}

}  // namespace

void pack_outputs(const PackedWeight& weight, void* data, int first_output, int count, const void* rows) {
  if (weight.type == WeightType::int8 || weight.type == WeightType::int4) {
    const QuantizeFn quantize = quantize_outputs(chosen_isa());
    const FlushDenormals flush;
    for_blocks(weight, data, first_output, count, [&](void* block, int lane, int lanes, int row) {
      quantize({weight, static_cast<const float*>(rows) + std::int64_t{row} * weight.inputs, lane, lanes, block});
    });
    return;
  }
  const std::int64_t row_bytes = std::int64_t{weight.inputs} * (weight.type == WeightType::float32 ? 4 : 2);
  for_blocks(weight, data, first_output, count, [&](void* block, int lane, int lanes, int row) {
    pack_rows(static_cast<const std::uint8_t*>(rows) + row * row_bytes, row_bytes, lane, lanes, block,
              weight.block_bytes());
  });
}

}  // namespace dolly4j
