// A PackedKvCache with its memory, written and read number by number.
#pragma once

#include <cstdint>

#include "buffer.h"
#include "ops/packed_kv_cache.h"

namespace dolly4j::test {

class PackedCache {
 public:
  // NaN in all of it, padding too.
  PackedCache(int blocks, int heads, int head_size, DType dtype)
      : blocks_(blocks), shape_{nullptr, nullptr, dtype, heads, head_size}, keys_(0, dtype), values_(0, dtype) {
    keys_ = Buffer(shape_.keys_at(blocks, 0), dtype);
    values_ = Buffer(shape_.values_at(blocks, 0), dtype);
  }

  PackedKvCache view() {
    PackedKvCache cache = shape_;
    cache.keys = keys_.output().data;
    cache.values = values_.output().data;
    return cache;
  }

  const Buffer& keys() const { return keys_; }
  const Buffer& values() const { return values_; }

  // Of keys and values as the other ops keep them, [blocks, 16, heads, head_size].
  void pack(const Input& keys, const Input& values) {
    each([&](std::int64_t plain, std::int64_t key, std::int64_t value) {
      keys_.set(key, keys.at(plain));
      values_.set(value, values.at(plain));
    });
  }
  void unpack(const Output& keys, const Output& values) const {
    each([&](std::int64_t plain, std::int64_t key, std::int64_t value) {
      keys.set(plain, keys_.at(key));
      values.set(plain, values_.at(value));
    });
  }

 private:
  // Calls visit(place in [blocks, 16, heads, head_size], place in keys_, place in values_) for every number.
  template <class Visit>
  void each(const Visit& visit) const {
    std::int64_t plain = 0;
    for (int block = 0; block < blocks_; block++) {
      for (int slot = 0; slot < kKvBlockSize; slot++) {
        for (int head = 0; head < shape_.heads; head++) {
          for (int number = 0; number < shape_.head_size; number++) {
            visit(plain++, shape_.keys_at(block, head) + shape_.key_place(slot, number),
                  shape_.values_at(block, head) + shape_.value_place(slot, number));
          }
        }
      }
    }
  }

  int blocks_;
  PackedKvCache shape_;
  Buffer keys_;
  Buffer values_;
};

}  // namespace dolly4j::test
