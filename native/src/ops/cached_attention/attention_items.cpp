#include "ops/attention_items.h"

#include <algorithm>

namespace dolly4j {
namespace {

// Reading a key and value from memory takes as long as computing this many rows with it: 27 ns, and 7 ns a row, for a
// head size of 80 in bfloat16 on one thread of a Zen 3 (cached_attention_bench).
constexpr int kRowsOfARead = 4;

// What one head of these rows costs, in positions times rows.
std::int64_t work(int context, int rows) { return std::int64_t{context} * std::max(rows, kRowsOfARead); }

int rows_of(const RaggedBatch& batch, int sequence) {
  return batch.sequence_starts[sequence + 1] - batch.sequence_starts[sequence];
}

int ceil_of(std::int64_t dividend, std::int64_t divisor) {
  return static_cast<int>((dividend + divisor - 1) / divisor);
}

}  // namespace

AttentionItems::AttentionItems(int heads, int threads, int max_rows) : heads_(heads), threads_(threads) {
  order_.reserve(static_cast<std::size_t>(max_rows));
  items_.reserve(static_cast<std::size_t>(max_rows) * static_cast<std::size_t>(heads));
}

void AttentionItems::plan(const RaggedBatch& batch) {
  order_.clear();
  items_.clear();
  std::int64_t all = 0;  // of one head
  for (std::int32_t s = 0; s < batch.sequences; ++s) {
    const int rows = rows_of(batch, s);
    const std::int64_t longest = work(batch.context_lengths[s], std::min(rows, kAttentionRows));
    order_.push_back({s, longest});
    all += longest * ceil_of(rows, kAttentionRows);
  }
  std::sort(order_.begin(), order_.end(), [](const SequenceWork& a, const SequenceWork& b) {
    return a.longest != b.longest ? a.longest > b.longest : a.sequence < b.sequence;
  });
  // Of several sequences twice as many items as threads, since they are not of one length.
  const int wanted = batch.sequences == 1 ? threads_ : 2 * threads_;
  for (const SequenceWork& sequence : order_) {
    const int most_heads = std::max(1, kAttentionRows / rows_of(batch, sequence.sequence));
    const int parts = std::clamp(ceil_of(sequence.longest * wanted, all), ceil_of(heads_, most_heads), heads_);
    for (int part = 0; part < parts; ++part) {
      const int first_head = ceil_of(std::int64_t{heads_} * part, parts);  // the larger parts come first
      add_items(batch, sequence.sequence, first_head, ceil_of(std::int64_t{heads_} * (part + 1), parts) - first_head);
    }
  }
}

/// All rows of some heads, the last ones, which see most, first.
void AttentionItems::add_items(const RaggedBatch& batch, std::int32_t sequence, int first_head, int heads) {
  const std::int32_t begin = batch.sequence_starts[sequence];
  for (std::int32_t end = batch.sequence_starts[sequence + 1]; end > begin;) {
    const std::int32_t first = std::max(end - kAttentionRows, begin);
    items_.push_back({sequence, first_head, heads, first, end - first});
    end = first;
  }
}

}  // namespace dolly4j
