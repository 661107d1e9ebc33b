// Steps on the CPU kernels: a chain of phases, each spread over the threads of the pool. A step that asks for no hidden
// states allocates nothing, and a row's result does not depend on the other rows of the step or on the threads.
#pragma once

#include <memory>

#include "dolly4j.h"
#include "model/kernel_model.h"
#include "model/step.h"

namespace dolly4j {

/// A KV cache, the memory that steps over it need, and the steps. The model must outlive it.
std::unique_ptr<StepRunner> new_kernel_runner(const KernelModel& model, const d4j_session_options& options);

}  // namespace dolly4j
