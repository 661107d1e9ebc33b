// The C border up to a finished model: every broken rule of dolly4j.h is a status and a message that names it.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <thread>

#include "cpu/available_memory.h"
#include "dolly4j.h"
#include "libtorch_test.h"
#include "loaded_model.h"

namespace dolly4j::test {
namespace {

constexpr d4j_model_options kOptions{D4J_BACKEND_LIBTORCH, D4J_FLOAT32, D4J_FLOAT32, -1, 1, 0};

// An empty model, freed at the end of the scope.
class EmptyModel {
 public:
  explicit EmptyModel(const d4j_decoder_spec& spec = small_decoder(), const d4j_model_options& options = kOptions) {
    check(d4j_model_create(&spec, &options, &model_));
  }
  EmptyModel(const EmptyModel&) = delete;
  EmptyModel& operator=(const EmptyModel&) = delete;
  ~EmptyModel() { d4j_model_free(model_); }

  d4j_model* get() const { return model_; }

 private:
  d4j_model* model_ = nullptr;
};

// ---- null pointers, build info ----

TEST(Api, nullPointersAreRefused) {
  const d4j_decoder_spec spec = small_decoder();
  const EmptyModel model;
  d4j_model* made = nullptr;
  d4j_session* session = nullptr;
  d4j_memory memory{};
  const d4j_rows rows{};
  const d4j_session_options session_options{1, 1, 1};
  const d4j_step step{};
  expect_failure(d4j_get_build_info(nullptr), D4J_INVALID_ARGUMENT, "info");
  expect_failure(d4j_model_create(nullptr, &kOptions, &made), D4J_INVALID_ARGUMENT, "spec");
  expect_failure(d4j_model_create(&spec, nullptr, &made), D4J_INVALID_ARGUMENT, "options");
  expect_failure(d4j_model_create(&spec, &kOptions, nullptr), D4J_INVALID_ARGUMENT, "model");
  expect_failure(d4j_model_load_rows(nullptr, &rows), D4J_INVALID_ARGUMENT, "model");
  expect_failure(d4j_model_load_rows(model.get(), nullptr), D4J_INVALID_ARGUMENT, "rows");
  expect_failure(d4j_model_finish(nullptr), D4J_INVALID_ARGUMENT, "model");
  expect_failure(d4j_model_check_memory(nullptr, 0), D4J_INVALID_ARGUMENT, "model");
  expect_failure(d4j_model_memory(nullptr, &memory), D4J_INVALID_ARGUMENT, "model");
  expect_failure(d4j_model_memory(model.get(), nullptr), D4J_INVALID_ARGUMENT, "memory");
  expect_failure(d4j_session_create(nullptr, &session_options, &session), D4J_INVALID_ARGUMENT, "model");
  expect_failure(d4j_session_create(model.get(), nullptr, &session), D4J_INVALID_ARGUMENT, "options");
  expect_failure(d4j_session_create(model.get(), &session_options, nullptr), D4J_INVALID_ARGUMENT, "session");
  expect_failure(d4j_session_step(nullptr, &step), D4J_INVALID_ARGUMENT, "session");
  expect_failure(d4j_session_copy_block(nullptr, 0, 1), D4J_INVALID_ARGUMENT, "session");
}

TEST(Api, freeingAndAbortingNothingDoesNothing) {
  d4j_model_free(nullptr);
  d4j_session_free(nullptr);
  d4j_session_abort(nullptr);
}

TEST(Api, lastErrorBelongsToItsThread) {
  expect_failure(d4j_get_build_info(nullptr), D4J_INVALID_ARGUMENT, "info");
  std::string before_failing;
  std::string after_failing;
  std::thread other([&] {
    before_failing = d4j_last_error();
    d4j_libtorch_set_threads(0);
    after_failing = d4j_last_error();
  });
  other.join();
  EXPECT_EQ(before_failing, "");
  EXPECT_NE(after_failing.find("threads"), std::string::npos) << after_failing;
  EXPECT_NE(std::string(d4j_last_error()).find("info"), std::string::npos) << d4j_last_error();
}

TEST(Api, buildInfoNamesVersionAndCompiler) {
  d4j_build_info info{};
  ASSERT_EQ(d4j_get_build_info(&info), D4J_OK);
  EXPECT_GT(std::string(info.version).size(), 0U);
  const std::string compiler = info.compiler;
  EXPECT_NE(compiler.find_first_of("0123456789"), std::string::npos) << compiler;
  EXPECT_TRUE(compiler.find("g++") != std::string::npos || compiler.find("lang") != std::string::npos) << compiler;
  EXPECT_EQ(info.libtorch_attached == 0, std::string(info.libtorch_source).empty());
}

TEST(Api, threadsOutOfRangeAreRefused) {
  expect_failure(d4j_libtorch_set_threads(0), D4J_INVALID_ARGUMENT, "threads must be 1 .. 4096, not 0");
  expect_failure(d4j_libtorch_set_threads(4097), D4J_INVALID_ARGUMENT, "not 4097");
}

// ---- models ----

TEST(ApiModel, everyFieldOfTheSpecOutOfRangeIsRefusedByName) {
  struct Change {
    const char* field;
    std::function<void(d4j_decoder_spec&)> apply;
  };
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  const Change changes[] = {
      {"layers", [](auto& spec) { spec.layers = 0; }},
      {"layers", [](auto& spec) { spec.layers = std::numeric_limits<std::int32_t>::max(); }},
      {"hidden_size", [](auto& spec) { spec.hidden_size = 0; }},
      {"hidden_size", [](auto& spec) { spec.hidden_size = 61; }},
      {"hidden_size", [](auto& spec) { spec.hidden_size = std::numeric_limits<std::int32_t>::min(); }},
      {"heads", [](auto& spec) { spec.heads = 0; }},
      {"heads", [](auto& spec) { spec.heads = 1 << 30; }},
      {"head_size", [](auto& spec) { spec.head_size = -20; }},
      {"head_size", [](auto& spec) { spec.head_size = 1 << 30; }},
      {"ffn_size", [](auto& spec) { spec.ffn_size = 0; }},
      {"ffn_size", [](auto& spec) { spec.ffn_size = std::numeric_limits<std::int32_t>::max(); }},
      {"vocab_size", [](auto& spec) { spec.vocab_size = 0; }},
      {"vocab_size", [](auto& spec) { spec.vocab_size = std::numeric_limits<std::int32_t>::max(); }},
      {"context_length", [](auto& spec) { spec.context_length = 0; }},
      {"context_length", [](auto& spec) { spec.context_length = std::numeric_limits<std::int32_t>::max(); }},
      {"rotary_dims", [](auto& spec) { spec.rotary_dims = -2; }},
      {"rotary_dims", [](auto& spec) { spec.rotary_dims = 22; }},
      {"rotary_dims must be even", [](auto& spec) { spec.rotary_dims = 5; }},
      {"rotary_base", [](auto& spec) { spec.rotary_base = 0; }},
      {"rotary_base", [=](auto& spec) { spec.rotary_base = nan; }},
      {"rotary_base", [=](auto& spec) { spec.rotary_base = infinity; }},
      {"norm_epsilon", [](auto& spec) { spec.norm_epsilon = -1e-5; }},
      {"norm_epsilon", [=](auto& spec) { spec.norm_epsilon = nan; }},
      {"norm_epsilon", [=](auto& spec) { spec.norm_epsilon = infinity; }},
      {"activation", [](auto& spec) { spec.activation = 2; }},
      {"activation", [](auto& spec) { spec.activation = -1; }},
      {"parallel_residual", [](auto& spec) { spec.parallel_residual = 2; }},
      {"shared_norm", [](auto& spec) { spec.shared_norm = -1; }},
      {"attention_bias", [](auto& spec) { spec.attention_bias = 2; }},
      {"ffn_bias", [](auto& spec) { spec.ffn_bias = 2; }},
      {"head_bias", [](auto& spec) { spec.head_bias = 2; }},
      {"tied_head", [](auto& spec) { spec.tied_head = 2; }},
  };
  for (const Change& change : changes) {
    d4j_decoder_spec spec = small_decoder();
    change.apply(spec);
    auto* model = reinterpret_cast<d4j_model*>(1);
    expect_failure(d4j_model_create(&spec, &kOptions, &model), D4J_INVALID_ARGUMENT, change.field);
    EXPECT_EQ(model, nullptr);
  }
}

TEST(ApiModel, optionsOutOfRangeAreRefused) {
  const d4j_decoder_spec spec = small_decoder();
  d4j_model* model = nullptr;
  d4j_model_options options = kOptions;
  options.backend = 2;
  expect_failure(d4j_model_create(&spec, &options, &model), D4J_INVALID_ARGUMENT, "backend");
  options = kOptions;
  options.weight_type = D4J_FLOAT16;
  expect_failure(d4j_model_create(&spec, &options, &model), D4J_INVALID_ARGUMENT, "weight_type");
  options.weight_type = D4J_INT8;
  expect_failure(d4j_model_create(&spec, &options, &model), D4J_INVALID_ARGUMENT, "weight_type");
  options = kOptions;
  for (const std::int32_t kv_type : {-1, static_cast<int>(D4J_FLOAT16), static_cast<int>(D4J_INT8), 99}) {
    options.kv_type = kv_type;
    expect_failure(d4j_model_create(&spec, &options, &model), D4J_INVALID_ARGUMENT,
                   "kv_type must be 0 .. 1, not " + std::to_string(kv_type));
  }
  options = kOptions;
  options.cuda_device = -2;
  expect_failure(d4j_model_create(&spec, &options, &model), D4J_INVALID_ARGUMENT, "cuda_device");
}

TEST(ApiModel, aDecoderLargerThanAnyMemoryIsRefusedWithItsSize) {
  d4j_decoder_spec spec = small_decoder();
  spec.layers = 10000;
  spec.heads = 1 << 16;
  spec.head_size = 16;
  spec.hidden_size = 1 << 20;
  spec.ffn_size = 1 << 22;
  d4j_model* model = nullptr;
  expect_failure(d4j_model_create(&spec, &kOptions, &model), D4J_OUT_OF_MEMORY, "GB for its weights, but only ");
  EXPECT_EQ(model, nullptr);
}

TEST(ApiModel, weightsThatTheSystemWouldPromiseAndNotGiveAreRefusedWithBothSizes) {
  // The shape of a model of 81 billion weights: a system that counts on untouched memory maps it.
  d4j_decoder_spec spec = small_decoder();
  spec.layers = 100;
  spec.heads = 64;
  spec.head_size = 128;
  spec.hidden_size = 8192;
  spec.ffn_size = 4 * 8192;
  spec.vocab_size = 50280;
  if (available_memory() > std::int64_t{300} << 30) {
    GTEST_SKIP() << "this machine has the memory that the test finds missing";
  }
  d4j_model* model = nullptr;
  expect_failure(d4j_model_create(&spec, &kOptions, &model), D4J_OUT_OF_MEMORY,
                 "the model needs 325.5 GB for its weights, but only ");
  EXPECT_NE(std::string(d4j_last_error()).find("choose bfloat16"), std::string::npos) << d4j_last_error();
  EXPECT_EQ(model, nullptr);
}

TEST(ApiModel, aCacheThatDoesNotFitBesideTheWeightsIsRefusedBeforeLoading) {
  const EmptyModel model;
  EXPECT_EQ(d4j_model_check_memory(model.get(), 0), D4J_OK) << d4j_last_error();
  EXPECT_EQ(d4j_model_check_memory(model.get(), 100), D4J_OK) << d4j_last_error();
  expect_failure(d4j_model_check_memory(model.get(), 1 << 26), D4J_OUT_OF_MEMORY,
                 "0.0 GB for its weights and 1030.8 GB for its KV cache, but only ");
  expect_failure(d4j_model_check_memory(model.get(), -1), D4J_INVALID_ARGUMENT, "blocks");
  const EmptyModel on_cuda(small_decoder(), {D4J_BACKEND_LIBTORCH, D4J_FLOAT32, D4J_FLOAT32, 0, 1, 0});
  EXPECT_EQ(d4j_model_check_memory(on_cuda.get(), 1 << 26), D4J_OK) << d4j_last_error();
}

TEST(ApiModel, memoryCountsWeightsAndKvBlocksInTheirTypes) {
  d4j_decoder_spec spec = small_decoder();
  const std::int64_t vocab = spec.vocab_size;
  const std::int64_t hidden = spec.hidden_size;
  const std::int64_t ffn = spec.ffn_size;
  const std::int64_t layers = spec.layers;
  const std::int64_t norms = 4 * hidden * layers + 2 * hidden;
  const std::int64_t per_layer =
      3 * hidden * hidden + 3 * hidden + hidden * hidden + hidden + 2 * ffn * hidden + ffn + hidden;
  const std::int64_t others = 2 * vocab * hidden + layers * per_layer;
  const auto bytes_of = [](d4j_dtype type) { return type == D4J_FLOAT32 ? 4 : 2; };
  for (const d4j_dtype type : {D4J_FLOAT32, D4J_BFLOAT16}) {
    for (const d4j_dtype kv_type : {D4J_FLOAT32, D4J_BFLOAT16}) {
      const EmptyModel model(spec, {D4J_BACKEND_LIBTORCH, type, kv_type, -1, 1, 0});
      d4j_memory memory{};
      ASSERT_EQ(d4j_model_memory(model.get(), &memory), D4J_OK);
      EXPECT_EQ(memory.weight_bytes, 4 * norms + bytes_of(type) * others);
      EXPECT_EQ(memory.block_bytes, 2 * layers * 16 * hidden * bytes_of(kv_type));
    }
  }
}

// ---- rows ----

// A file of ones and rows of it that fit the embedding of small_decoder(); tests break one thing.
class ApiRows : public testing::Test {
 protected:
  ApiRows() {
    rows_.name = "embed_in.weight";
    rows_.path = file_.path().c_str();
    rows_.rows = kRows;
    rows_.columns = kColumns;
    rows_.row_stride = kColumns;
    rows_.column_stride = 1;
    rows_.dtype = D4J_FLOAT32;
    rows_.slot = D4J_EMBEDDING;
    rows_.run_count = 1;
    rows_.runs = run_;
  }

  d4j_status load() { return d4j_model_load_rows(model_.get(), &rows_); }

  void expect_refused(const std::string& message) { expect_failure(load(), D4J_INVALID_ARGUMENT, message); }

  static constexpr std::int32_t kRows = 331;
  static constexpr std::int32_t kColumns = 60;
  const TemporaryFile file_{std::vector<float>(std::size_t{kRows} * kColumns, 1)};
  std::int32_t run_[6] = {0, 0, kRows, 0, 0, 0};
  d4j_rows rows_{};
  const EmptyModel model_;
};

TEST_F(ApiRows, asTheyAreTheyLoad) { EXPECT_EQ(load(), D4J_OK) << d4j_last_error(); }

TEST_F(ApiRows, missingPointersAreRefused) {
  rows_.name = nullptr;
  expect_refused("name");
  rows_.name = "embed_in.weight";
  rows_.path = nullptr;
  expect_refused("path");
  rows_.path = file_.path().c_str();
  rows_.runs = nullptr;
  expect_refused("runs");
}

TEST_F(ApiRows, everyNumberOutOfRangeIsRefusedByNameWithFileAndTensor) {
  struct Change {
    const char* message;
    std::function<void(d4j_rows&)> apply;
  };
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Change changes[] = {
      {"dtype", [](auto& rows) { rows.dtype = 3; }},
      {"dtype", [](auto& rows) { rows.dtype = -1; }},
      {"slot", [](auto& rows) { rows.slot = D4J_SLOT_COUNT; }},
      {"slot", [](auto& rows) { rows.slot = -1; }},
      {"offset", [](auto& rows) { rows.offset = -1; }},
      {"offset", [=](auto& rows) { rows.offset = kMost; }},
      {"rows must", [](auto& rows) { rows.rows = 0; }},
      {"rows must", [=](auto& rows) { rows.rows = kMost; }},
      {"columns must", [](auto& rows) { rows.columns = 0; }},
      {"columns must", [=](auto& rows) { rows.columns = kMost; }},
      {"row_stride", [](auto& rows) { rows.row_stride = -1; }},
      {"row_stride", [=](auto& rows) { rows.row_stride = kMost; }},
      {"row_stride", [=](auto& rows) { rows.row_stride = kMost / rows.rows; }},
      {"column_stride", [](auto& rows) { rows.column_stride = -1; }},
      {"column_stride", [=](auto& rows) { rows.column_stride = kMost / rows.columns; }},
      {"run_count", [](auto& rows) { rows.run_count = 0; }},
      {"run_count", [](auto& rows) { rows.run_count = -1; }},
      {"layer 1 of embedding", [](auto& rows) { rows.layer = 1; }},
      {"layer -1 of embedding", [](auto& rows) { rows.layer = -1; }},
      {"59 columns; expected 60", [](auto& rows) { rows.columns = 59; }},
      {"head.bias, which this decoder does not have", [](auto& rows) { rows.slot = D4J_HEAD_BIAS; }},
  };
  const d4j_rows good = rows_;
  for (const Change& change : changes) {
    rows_ = good;
    change.apply(rows_);
    expect_refused(change.message);
    EXPECT_EQ(std::string(d4j_last_error()).find(file_.path() + ": tensor 'embed_in.weight'"), 0U) << d4j_last_error();
  }
  rows_ = good;
  EXPECT_EQ(load(), D4J_OK) << d4j_last_error();
}

TEST_F(ApiRows, runsPastTheTensorOrTheSlotAreRefused) {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  struct Run {
    std::int32_t source;
    std::int32_t target;
    std::int32_t count;
    const char* message;
  };
  const Run runs[] = {
      {0, 0, kRows + 1, "the tensor has 331"},
      {1, 0, kRows, "the tensor has 331"},
      {-1, 0, 1, "the tensor has 331"},
      {kMost, 0, kMost, "the tensor has 331"},
      {0, 0, 0, "the tensor has 331"},
      {0, 0, -1, "the tensor has 331"},
      {0, 1, kRows, "of embedding, which has 331"},
      {0, -1, 1, "of embedding, which has 331"},
      {0, kMost, 1, "of embedding, which has 331"},
  };
  for (const Run& run : runs) {
    run_[0] = run.source;
    run_[1] = run.target;
    run_[2] = run.count;
    expect_refused(run.message);
  }
}

TEST_F(ApiRows, loadedTwiceAreRefused) {
  rows_.run_count = 2;
  run_[3] = 0;
  run_[4] = kRows - 1;
  run_[5] = 1;
  expect_refused("row 330 of embedding is loaded twice");
  rows_.run_count = 1;
  EXPECT_EQ(load(), D4J_OK) << d4j_last_error();
  expect_refused("row 0 of embedding is loaded twice");
}

TEST_F(ApiRows, pastTheEndOfTheFileAreABadFileWithBothLengths) {
  rows_.offset = 4;
  expect_failure(load(), D4J_BAD_FILE, "ends at byte 79444 but the file has 79440");
  rows_.offset = 0;
  rows_.row_stride = kColumns + 1;
  expect_failure(load(), D4J_BAD_FILE, "but the file has 79440");
  rows_.row_stride = kColumns;
  rows_.column_stride = std::int64_t{1} << 30;
  expect_failure(load(), D4J_BAD_FILE, "but the file has 79440");
}

TEST_F(ApiRows, whatIsNoRegularFileIsABadFile) {
  rows_.path = "/nonexistent/model.safetensors";
  expect_failure(load(), D4J_BAD_FILE, "/nonexistent/model.safetensors: cannot open: No such file");
  rows_.path = "/tmp";
  expect_failure(load(), D4J_BAD_FILE, "not a regular file");
  rows_.path = "";
  expect_failure(load(), D4J_BAD_FILE, "cannot open");
  // Opening a named pipe would wait for a writer.
  const std::string pipe = file_.path() + "-pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  rows_.path = pipe.c_str();
  expect_failure(load(), D4J_BAD_FILE, "not a regular file");
  unlink(pipe.c_str());
}

TEST_F(ApiRows, nanAndInfinityInEveryTypeAreABadFileWithTheirRow) {
  const float floats[] = {std::nanf(""), HUGE_VALF, -HUGE_VALF};
  for (const float number : floats) {
    std::vector<float> elements(std::size_t{kRows} * kColumns, 1);
    elements[7 * kColumns + 59] = number;
    const TemporaryFile file(elements);
    rows_.path = file.path().c_str();
    expect_failure(load(), D4J_BAD_FILE, "holds NaN, infinity or a number too large in row 7");
  }
  struct Half {
    d4j_dtype dtype;
    std::uint16_t bits;
  };
  const Half halves[] = {{D4J_BFLOAT16, 0x7fc0}, {D4J_BFLOAT16, 0x7f81}, {D4J_BFLOAT16, 0x7f80}, {D4J_BFLOAT16, 0xff80},
                         {D4J_FLOAT16, 0x7e00},  {D4J_FLOAT16, 0xfc01},  {D4J_FLOAT16, 0x7c00},  {D4J_FLOAT16, 0xfc00}};
  for (const Half& half : halves) {
    std::vector<std::uint16_t> elements(std::size_t{kRows} * kColumns, 0x3c00);
    elements[330 * kColumns] = half.bits;
    const TemporaryFile file(elements);
    rows_.path = file.path().c_str();
    rows_.dtype = half.dtype;
    expect_failure(load(), D4J_BAD_FILE, "in row 330");
    const EmptyModel narrow(small_decoder(), {D4J_BACKEND_LIBTORCH, D4J_BFLOAT16, D4J_BFLOAT16, -1, 1, 0});
    expect_failure(d4j_model_load_rows(narrow.get(), &rows_), D4J_BAD_FILE, "in row 330");
  }
}

TEST_F(ApiRows, missingAtFinishAreNamedWithSlotAndLayer) {
  run_[2] = 330;
  ASSERT_EQ(load(), D4J_OK) << d4j_last_error();
  expect_failure(d4j_model_finish(model_.get()), D4J_INVALID_ARGUMENT, "embedding of layer 0 lacks 1 of its 331 rows");
  run_[0] = run_[1] = 330;
  run_[2] = 1;
  ASSERT_EQ(load(), D4J_OK) << d4j_last_error();
  expect_failure(d4j_model_finish(model_.get()), D4J_INVALID_ARGUMENT,
                 "attention_norm.weight of layer 0 lacks 60 of its 60 rows");
}

TEST(ApiModel, sessionBeforeFinishIsRefused) {
  const EmptyModel model;
  const d4j_session_options options{1, 1, 1};
  auto* session = reinterpret_cast<d4j_session*>(1);
  expect_failure(d4j_session_create(model.get(), &options, &session), D4J_INVALID_ARGUMENT, "d4j_model_finish");
  EXPECT_EQ(session, nullptr);
}

}  // namespace
}  // namespace dolly4j::test
