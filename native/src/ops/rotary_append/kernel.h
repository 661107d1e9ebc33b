// The kernel of rotary_append.h for the vector struct V (cpu/vector_*.h).
//
// Heads outside, rows inside: the rows of a prompt write to one block of a head, 2.5 KiB each of keys and values for a
// head size of 80 in bfloat16, 16 times in a row. What they read lies far apart, so it is prefetched.
#pragma once

#include <cstdint>

#include "ops/rotary_append.h"

namespace dolly4j {
namespace {

template <class V>
class RotaryAppendKernel {
  using F = typename V::F;

 public:
  static void run(const RotaryAppendArgs& args, int first_head, int last_head) {
    if (args.cache.dtype == DType::float32) {
      append<float>(args, first_head, last_head);
    } else {
      append<bfloat16>(args, first_head, last_head);
    }
  }

 private:
  template <class T>
  static void append(const RotaryAppendArgs& args, int first_head, int last_head) {
    const PackedKvCache& cache = args.cache;
    const std::int64_t width = std::int64_t{cache.heads} * cache.head_size;
    for (int head = first_head; head < last_head; ++head) {
      for (int row = 0; row < args.batch.rows; ++row) {
        const int position = args.batch.positions[row];
        const std::int64_t entry =
            std::int64_t{args.row_sequences[row]} * args.batch.block_table_stride + position / kKvBlockSize;
        const int block = args.batch.block_tables[entry];
        const int slot = position % kKvBlockSize;
        const float* in = args.qkv + row * 3 * width + head * cache.head_size;
        if (row + kRowsAhead < args.batch.rows) {
          for (int part = 0; part < 3; ++part) {
            prefetch(in + (std::int64_t{kRowsAhead} * 3 + part) * width, cache.head_size);
          }
        }
        float* q = args.q + row * width + head * cache.head_size;
        T* keys = static_cast<T*>(cache.keys) + cache.keys_at(block, head);
        T* values = static_cast<T*>(cache.values) + cache.values_at(block, head);

        rotate(args, in, position, [&](int number, F x, int count) {
          V::store_first(q + number, sizeof(T) == sizeof(float) ? x : V::round_to_bfloat16(x), count);
        });
        rotate(args, in + width, position,
               [&](int number, F x, int count) { put_key(cache, slot, number, x, count, keys); });
        append_values(cache, slot, in + 2 * width, values);
      }
    }
  }

  // Calls put(number, x, count) with `count` numbers of the turned head from `number` on, for all of them.
  template <class Put>
  static void rotate(const RotaryAppendArgs& args, const float* in, int position, const Put& put) {
    const int half = args.rotary_dims / 2;
    const float* cosines = args.cosines + std::int64_t{position} * half;
    const float* sines = args.sines + std::int64_t{position} * half;
    const F minus = V::set(-1.0F);
    for (int i = 0; i < half; i += V::kLanes) {
      const int count = half - i < V::kLanes ? half - i : V::kLanes;
      const F x = V::load_first(in + i, count);
      const F y = V::load_first(in + half + i, count);
      const F cosine = V::load_first(cosines + i, count);
      const F sine = V::load_first(sines + i, count);
      put(i, V::fma(x, cosine, V::mul(V::mul(y, sine), minus)), count);
      put(half + i, V::fma(y, cosine, V::mul(x, sine)), count);
    }
    for (int i = args.rotary_dims; i < args.cache.head_size; i += V::kLanes) {
      const int count = args.cache.head_size - i < V::kLanes ? args.cache.head_size - i : V::kLanes;
      put(i, V::load_first(in + i, count), count);
    }
  }

  // Numbers number .. number + count - 1 of a key, which lie far apart there.
  static void put_key(const PackedKvCache& cache, int slot, int number, F x, int count, float* keys) {
    float numbers[V::kLanes];
    V::store(numbers, x);
    put_key(cache, slot, number, numbers, 0, count, keys);
  }
  static void put_key(const PackedKvCache& cache, int slot, int number, F x, int count, bfloat16* keys) {
    bfloat16 numbers[V::kLanes];
    V::store(numbers, x);
    const int before_four = -number & 3;
    int i = put_key(cache, slot, number, numbers, 0, before_four < count ? before_four : count, keys);
    for (; i + 4 <= count; i += 4) {
      bfloat16* place = keys + PackedKvCache::place_in_lines(number + i, slot);
      place[0] = numbers[i];
      place[PackedKvCache::kLine] = numbers[i + 1];
      place[-1] = numbers[i + 2];
      place[PackedKvCache::kLine - 1] = numbers[i + 3];
      keep_apart();
    }
    put_key(cache, slot, number, numbers, i, count, keys);
  }
  template <class T>
  static int put_key(const PackedKvCache& cache, int slot, int number, const T* numbers, int first, int last, T* keys) {
    for (; first < last; ++first) {
      keys[cache.key_place(slot, number + first)] = numbers[first];
      keep_apart();
    }
    return first;
  }
  // Else g++ makes a loop of such stores a scatter, which is several times slower.
  [[gnu::always_inline]] static void keep_apart() { __asm__ volatile(""); }

  static void append_values(const PackedKvCache& cache, int slot, const float* in, float* values) {
    for (int number = 0; number < cache.head_size; number += V::kLanes) {
      const int count = cache.head_size - number < V::kLanes ? cache.head_size - number : V::kLanes;
      V::store_first(values + cache.value_place(slot, number), V::load_first(in + number, count), count);
    }
  }
  // Into the upper halves of a line's words for the first two of four positions, else the lower ones.
  static void append_values(const PackedKvCache& cache, int slot, const float* in, bfloat16* values) {
    const int shift = slot % 4 < 2 ? 16 : 0;
    const std::uint32_t others = 0xffffU << (16 - shift);
    for (int number = 0; number < cache.head_size; number += V::kLanes) {
      const int count = cache.head_size - number < V::kLanes ? cache.head_size - number : V::kLanes;
      bfloat16 rounded[V::kLanes];
      V::store(rounded, V::load_first(in + number, count));
      auto* line = values + cache.value_place(slot, number) / 2 * 2;
      for (int i = 0; i < count; ++i) {
        std::uint32_t word;
        __builtin_memcpy(&word, line + 2 * i, sizeof word);
        word = (word & others) | std::uint32_t{rounded[i].bits} << shift;
        __builtin_memcpy(line + 2 * i, &word, sizeof word);
      }
    }
  }

  static void prefetch(const float* numbers, int count) {
    for (int i = 0; i < count; i += kLineNumbers) {
      V::prefetch(numbers + i);
    }
    V::prefetch(numbers + count - 1);
  }

  static constexpr int kLineNumbers = 16;
  static constexpr int kRowsAhead = 4;
};

}  // namespace
}  // namespace dolly4j
