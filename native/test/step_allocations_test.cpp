// Once its threads run, the C API takes no memory for a step on the CPU kernels, nor to copy a block: this program
// counts what it asks of malloc and mmap.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cpu/aligned_memory.h"
#include "decoder_cases.h"
#include "loaded_model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DOLLY4J_COUNTS_ALLOCATIONS 0
#else
#define DOLLY4J_COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<std::int64_t> allocations{0};
}

#if DOLLY4J_COUNTS_ALLOCATIONS

// The C library's own, under the names that it keeps for whoever replaces them; `free` goes with all.
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* before, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

#define REPLACEMENT __attribute__((visibility("default")))

REPLACEMENT void* malloc(std::size_t bytes) noexcept {
  ++allocations;
  return __libc_malloc(bytes);
}

REPLACEMENT void* calloc(std::size_t count, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_calloc(count, bytes);
}

REPLACEMENT void* realloc(void* before, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_realloc(before, bytes);
}

REPLACEMENT void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}

REPLACEMENT int posix_memalign(void** result, std::size_t alignment, std::size_t bytes) noexcept {
  *result = aligned_alloc(alignment, bytes);
  return *result == nullptr ? ENOMEM : 0;
}

REPLACEMENT void* mmap(void* place, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  ++allocations;
  return reinterpret_cast<void*>(syscall(SYS_mmap, place, bytes, protection, flags, file, offset));
}
}

#endif

namespace dolly4j::test {
namespace {

class StepAllocations : public testing::TestWithParam<d4j_dtype> {
 protected:
  void SetUp() override {
    if (DOLLY4J_COUNTS_ALLOCATIONS == 0) {
      GTEST_SKIP() << "a sanitizer has a malloc of its own";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Of, StepAllocations, testing::Values(D4J_FLOAT32, D4J_BFLOAT16, D4J_INT8, D4J_INT4),
                         [](const testing::TestParamInfo<d4j_dtype>& test) { return name_of(test.param); });

template <class Work>
std::int64_t allocations_of(const Work& work) {
  const std::int64_t before = allocations;
  work();
  return allocations - before;
}

constexpr int kBlocks = 64;

LoadedModel model_of(const d4j_decoder_spec& spec, d4j_dtype type) {
  const DecoderTypes types(type);
  return {spec, {D4J_BACKEND_KERNELS, types.weights, types.kv, -1, 2, 0}, random_decoder_weights(spec, 1)};
}

d4j_step without_hidden_states(const OwnedStep& step) {
  d4j_step result = step.step();
  result.hidden = nullptr;
  return result;
}

TEST_P(StepAllocations, areNoneOnceThreadsRun) {
  d4j_decoder_spec sequential = small_decoder();
  sequential.parallel_residual = 0;
  sequential.activation = D4J_GELU_TANH;
  for (const d4j_decoder_spec& spec : {small_decoder(), sequential}) {
    const LoadedModel model = model_of(spec, GetParam());
    const Session session(model, kBlocks);
    // The first step starts the threads; later ones have more rows, up to all that a session allows.
    const OwnedStep steps[] = {
        {spec, {{{0}, 0, {1, 2}}}},
        {spec, {{{0, 1}, 2, random_tokens(spec, 30, 2)}, {{5, 9, 4}, 0, random_tokens(spec, 40, 3)}, {{7}, 0, {3}}}},
        {spec, {{{0, 1, 2}, 32, {4}}, {{5, 9, 4}, 40, {5}}, {{7}, 1, {6}}}},
        {spec,
         {{{10, 11, 12, 13, 14}, 0, random_tokens(spec, 79, 4)}, {{20, 21, 22, 23}, 0, random_tokens(spec, 49, 5)}}}};
    ASSERT_EQ(steps[3].step().rows, Session::kMostRows);
    session.run(without_hidden_states(steps[0]));
    for (const OwnedStep& step : steps) {
      const d4j_step plain = without_hidden_states(step);
      EXPECT_EQ(allocations_of([&] { session.run(plain); }), 0) << plain.rows << " rows";
      EXPECT_EQ(allocations_of([&] { check(d4j_session_copy_block(session.get(), 0, 30)); }), 0);
    }
  }
}

// The final norm in float32, which only those who look at hidden states ask for.
TEST_P(StepAllocations, areOneWithHiddenStates) {
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model = model_of(spec, GetParam());
  const Session session(model, kBlocks);
  const OwnedStep step(spec, {{{0}, 0, {1, 2, 3}}});
  session.run(step.step());
  EXPECT_EQ(allocations_of([&] { session.run(step.step()); }), 1);
}

TEST(Allocations, ofEveryKindAreCounted) {
  if (DOLLY4J_COUNTS_ALLOCATIONS == 0) {
    GTEST_SKIP() << "a sanitizer has a malloc of its own";
  }
  // What is read through a volatile pointer is allocated, whatever the compiler sees.
  EXPECT_EQ(allocations_of([] {
              std::vector<int> numbers(1000);
              int* volatile place = numbers.data();
              EXPECT_EQ(*place, 0);
            }),
            1);
  EXPECT_EQ(allocations_of([] {
              void* volatile place = std::malloc(1000);
              std::free(place);
            }),
            1);
  EXPECT_EQ(allocations_of([] { const AlignedMemory memory(1000, "a test"); }), 1);
}

}  // namespace
}  // namespace dolly4j::test
