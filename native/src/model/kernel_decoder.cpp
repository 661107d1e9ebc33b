#include "model/kernel_decoder.h"

#include <utility>

#include "model/kernel_model.h"
#include "model/kernel_runner.h"

namespace dolly4j {
namespace {

class KernelDecoder final : public Decoder {
 public:
  explicit KernelDecoder(KernelModel model) : model_(std::move(model)) {}

  std::unique_ptr<StepRunner> new_runner(const d4j_session_options& options) const override {
    return new_kernel_runner(model_, options);
  }

 private:
  KernelModel model_;
};

}  // namespace

std::unique_ptr<Decoder> new_kernel_decoder(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                            const std::shared_ptr<const Weights>& weights) {
  return std::make_unique<KernelDecoder>(kernel_model(spec, options, weights));
}

std::int64_t kernel_block_bytes(const d4j_decoder_spec& spec, d4j_dtype kv_type) {
  const PackedKvCache shape = kv_cache_shape(spec, kv_type);
  return spec.layers * (shape.keys_at(1, 0) + shape.values_at(1, 0)) * size_of(shape.dtype);
}

}  // namespace dolly4j
