// The items that a step's attention is cut into (cached_attention.h), for threads that each take the next one when they
// are done: every head of every row once, long ones first, so that none is still at work when the others have finished.
//
// Rows of a prompt go 16 to an item, so that they share what is read; a single new token goes with up to 16 heads, so
// that long pieces of the cache are read, unless that leaves threads without work.
#pragma once

#include <vector>

#include "ops/cached_attention.h"

namespace dolly4j {

class AttentionItems {
 public:
  /// Takes all the memory that steps of up to so many rows need.
  AttentionItems(int heads, int threads, int max_rows);

  void plan(const RaggedBatch& batch);

  /// Of the batch last planned.
  const std::vector<AttentionItem>& items() const { return items_; }

 private:
  struct SequenceWork {
    std::int32_t sequence;
    std::int64_t longest;  // a head of its most expensive rows
  };

  void add_items(const RaggedBatch& batch, std::int32_t sequence, int first_head, int heads);

  int heads_;
  int threads_;
  std::vector<SequenceWork> order_;
  std::vector<AttentionItem> items_;
};

}  // namespace dolly4j
