// The decoder as a graph of libtorch ops, on the CPU or a CUDA device: the reference of the kernels, and what runs
// where no kernel exists.
#pragma once

#include <memory>

#include "model/step.h"
#include "model/weights.h"

namespace dolly4j {

/// A decoder of complete weights, which it uses where they are on the CPU and copies to a CUDA device. Throws
/// D4J_BACKEND_MISSING if libtorch or the device is not available, D4J_BACKEND_FAILED if the device's memory is short.
std::unique_ptr<Decoder> new_libtorch_decoder(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                              const std::shared_ptr<const Weights>& weights);

}  // namespace dolly4j
