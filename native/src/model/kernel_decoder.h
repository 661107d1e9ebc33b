// The decoder on the CPU kernels, without libtorch: see kernel_runner.h for what its steps hold to.
#pragma once

#include <memory>

#include "model/step.h"
#include "model/weights.h"

namespace dolly4j {

/// A decoder of complete weights in the packed layout. Throws D4J_INVALID_ARGUMENT if the environment variable
/// DOLLY4J_ISA names no instruction set of this CPU.
std::unique_ptr<Decoder> new_kernel_decoder(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                            const std::shared_ptr<const Weights>& weights);

/// Bytes of a KV block of all layers, as these decoders keep it.
std::int64_t kernel_block_bytes(const d4j_decoder_spec& spec, d4j_dtype kv_type);

}  // namespace dolly4j
