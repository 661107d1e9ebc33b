#include "ops/kv_append.h"

namespace dolly4j {

void kv_append_oracle(const KvAppendArgs& args) {
  const std::int64_t width = std::int64_t{args.heads} * args.head_size;
  for (int s = 0; s < args.batch.sequences; s++) {
    for (int t = args.batch.sequence_starts[s]; t < args.batch.sequence_starts[s + 1]; t++) {
      const std::int64_t target = args.batch.slot(s, args.batch.positions[t]) * width;
      for (int i = 0; i < width; i++) {
        args.keys.set(target + i, args.k[t * args.k_stride + i]);
        args.values.set(target + i, args.v[t * args.v_stride + i]);
      }
    }
  }
}

}  // namespace dolly4j
