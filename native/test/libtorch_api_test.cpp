// The C border with libtorch behind it: attaching, finished models, sessions and steps. Every broken rule of dolly4j.h
// is a status and a message that names it, and changes nothing.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>

#include "api_status.h"
#include "libtorch_test.h"
#include "loaded_model.h"

namespace dolly4j::test {
namespace {

// Attaching lasts for the life of a process: each of these tests has one of its own.

[[noreturn]] void leave(d4j_status status) {
  std::fputs(d4j_last_error(), stderr);
  std::fflush(stderr);
  _exit(status);
}

class ApiLibtorch : public testing::Test {
 protected:
  ApiLibtorch() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

// A folder with one entry, libtorch_cpu.so, which links to a file. To be made in the statement of a death test: its
// process runs no destructor for what stands in front of that.
class FolderWithLink {
 public:
  explicit FolderWithLink(const std::string& target) {
    if (mkdtemp(path_.data()) == nullptr || symlink(target.c_str(), link().c_str()) != 0) {
      throw std::runtime_error("cannot create " + link());
    }
  }
  FolderWithLink(const FolderWithLink&) = delete;
  FolderWithLink& operator=(const FolderWithLink&) = delete;
  ~FolderWithLink() {
    unlink(link().c_str());
    rmdir(path_.c_str());
  }

  const std::string& path() const { return path_; }

 private:
  std::string link() const { return path_ + "/libtorch_cpu.so"; }

  std::string path_ = "/tmp/dolly4j-test-XXXXXX";
};

// Attaches a file in the place of libtorch_cpu.so.
d4j_status attach_linked(const std::string& file) {
  const FolderWithLink folder(file);
  return d4j_libtorch_attach(folder.path().c_str());
}

TEST_F(ApiLibtorch, folderThatDoesNotExistIsNamed) {
  EXPECT_EXIT(leave(d4j_libtorch_attach("/nonexistent/torch/lib")), testing::ExitedWithCode(D4J_BACKEND_MISSING),
              "cannot load libtorch from /nonexistent/torch/lib: .*libtorch_cpu.so");
}

TEST_F(ApiLibtorch, folderWithoutLibtorchIsNamed) {
  EXPECT_EXIT(leave(d4j_libtorch_attach("/proc")), testing::ExitedWithCode(D4J_BACKEND_MISSING),
              "cannot load libtorch from /proc: .*libtorch_cpu.so");
}

TEST_F(ApiLibtorch, fileThatIsNoLibraryIsNamed) {
  const auto attach = [] {
    const TemporaryFile text(std::vector<char>(1000, 'x'));
    return attach_linked(text.path());
  };
  EXPECT_EXIT(leave(attach()), testing::ExitedWithCode(D4J_BACKEND_MISSING),
              "cannot load libtorch from /tmp/dolly4j-test-.*");
}

TEST_F(ApiLibtorch, libraryThatIsNotLibtorchLacksItsFunctions) {
  Dl_info math{};
  ASSERT_NE(dladdr(reinterpret_cast<void*>(static_cast<double (*)(double)>(std::cos)), &math), 0);
  EXPECT_EXIT(leave(attach_linked(math.dli_fname)), testing::ExitedWithCode(D4J_BACKEND_MISSING),
              "libtorch_cpu.so lacks the function aoti_torch_device_type_cpu; dolly4j needs libtorch 2.10 or later");
}

TEST_F(ApiLibtorch, withoutAFolderItMustBeLoadedAlready) {
  EXPECT_EXIT(leave(d4j_libtorch_attach(nullptr)), testing::ExitedWithCode(D4J_BACKEND_MISSING),
              "libtorch_cpu.so is not loaded in this process");
}

TEST_F(ApiLibtorch, modelFinishedWithoutLibtorchSaysSo) {
  const auto finish = [] {
    try {
      const LoadedModel model(small_decoder(), D4J_FLOAT32, random_decoder_weights(small_decoder(), 1));
    } catch (const std::runtime_error&) {
      leave(D4J_BACKEND_MISSING);
    }
    leave(D4J_OK);
  };
  EXPECT_EXIT(finish(), testing::ExitedWithCode(D4J_BACKEND_MISSING), "libtorch is not attached");
}

class ApiAttached : public LibtorchTest {};

TEST_F(ApiAttached, attachingAgainDoesNothingWhateverTheFolder) {
  EXPECT_EQ(d4j_libtorch_attach("/nonexistent"), D4J_OK);
  EXPECT_EQ(d4j_libtorch_attach(nullptr), D4J_OK);
  d4j_build_info info{};
  ASSERT_EQ(d4j_get_build_info(&info), D4J_OK);
  EXPECT_EQ(info.libtorch_attached, 1);
  EXPECT_GE(info.libtorch_threads, 1);
  EXPECT_NE(std::string(info.libtorch_source).find("libtorch_cpu.so"), std::string::npos) << info.libtorch_source;
}

TEST_F(ApiAttached, aCudaDeviceThatIsNotThereFailsAtFinish) {
  try {
    const LoadedModel model(small_decoder(), D4J_FLOAT32, random_decoder_weights(small_decoder(), 1), 1000);
    FAIL();
  } catch (const std::runtime_error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("cuda:1000 is not one of them"), std::string::npos) << message;
    if (cuda_devices() == 0) {
      EXPECT_NE(message.find("cuda.so"), std::string::npos) << message;  // why it sees none
    }
  }
}

TEST_F(ApiAttached, finishedModelTakesNoMoreRowsAndFinishesOnce) {
  const LoadedModel model(small_decoder(), D4J_FLOAT32, random_decoder_weights(small_decoder(), 1));
  const d4j_rows rows{};
  expect_failure(d4j_model_load_rows(model.get(), &rows), D4J_INVALID_ARGUMENT, "the model is finished already");
  expect_failure(d4j_model_finish(model.get()), D4J_INVALID_ARGUMENT, "the model is finished already");
}

TEST_F(ApiAttached, sessionOptionsOutOfRangeAreRefused) {
  const LoadedModel model(small_decoder(), D4J_FLOAT32, random_decoder_weights(small_decoder(), 1));
  const struct {
    d4j_session_options options;
    const char* message;
  } cases[] = {{{0, 1, 1}, "blocks"},         {{-1, 1, 1}, "blocks"},        {{1 << 30, 1, 1}, "blocks"},
               {{1, 0, 1}, "max_rows"},       {{1, 1 << 30, 1}, "max_rows"}, {{1, 1, -1}, "max_logits_rows"},
               {{1, 1, 2}, "max_logits_rows"}};
  for (const auto& wrong : cases) {
    d4j_session* session = nullptr;
    expect_failure(d4j_session_create(model.get(), &wrong.options, &session), D4J_INVALID_ARGUMENT, wrong.message);
    EXPECT_EQ(session, nullptr);
  }
}

TEST_F(ApiAttached, aCacheLargerThanAnyMemoryIsRefusedWithItsSize) {
  // 128 tensors of 1 TiB are more than a process has addresses for, however generous the system is with memory.
  d4j_decoder_spec spec = small_decoder();
  spec.layers = 64;
  spec.heads = 16;
  spec.head_size = 16;
  spec.hidden_size = 256;
  spec.ffn_size = 1;
  DecoderWeights weights;
  for (int s = 0; s < D4J_SLOT_COUNT; s++) {
    const SlotShape shape = slot_shape(spec, static_cast<d4j_slot>(s));
    for (int layer = 0; shape.present && layer < (shape.per_layer ? spec.layers : 1); layer++) {
      weights[{static_cast<d4j_slot>(s), layer}].assign(shape.rows * shape.columns, 0);
    }
  }
  const LoadedModel model(spec, D4J_FLOAT32, weights);
  const d4j_session_options options{1 << 26, 1, 1};
  d4j_session* session = nullptr;
  expect_failure(d4j_session_create(model.get(), &options, &session), D4J_OUT_OF_MEMORY, "for its KV cache, but only ");
  EXPECT_EQ(session, nullptr);
}

// A step of three sequences that is right, whose arrays a test breaks one at a time.
class ApiStep : public LibtorchTest {
 protected:
  struct Arrays {
    std::vector<std::int32_t> tokens{1, 2, 3, 4, 5, 6};
    std::vector<std::int32_t> positions{0, 1, 2, 16, 17, 9};
    std::vector<std::int32_t> starts{0, 3, 5, 6};
    std::vector<std::int32_t> contexts{3, 18, 10};
    std::vector<std::int32_t> tables{4, -1, 2, 0, 3, -1};
    std::vector<std::int32_t> wanted{2, 4, 5};
  };

  void SetUp() override {
    LibtorchTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    model_ = std::make_unique<LoadedModel>(spec_, D4J_FLOAT32, random_decoder_weights(spec_, 1));
    session_ = std::make_unique<Session>(*model_, kBlocks);
    logits_.resize(std::size_t{6} * spec_.vocab_size);
  }

  d4j_step step_of(const Arrays& arrays) {
    d4j_step step{};
    step.rows = 6;
    step.sequences = 3;
    step.block_table_stride = 2;
    step.logits_count = 3;
    step.tokens = arrays.tokens.data();
    step.positions = arrays.positions.data();
    step.sequence_starts = arrays.starts.data();
    step.context_lengths = arrays.contexts.data();
    step.block_tables = arrays.tables.data();
    step.logits_rows = arrays.wanted.data();
    step.logits = logits_.data();
    return step;
  }

  void expect_refused(const std::string& message, const std::function<void(Arrays&)>& change) {
    Arrays arrays;
    change(arrays);
    const d4j_step step = step_of(arrays);
    expect_failure(d4j_session_step(session_->get(), &step), D4J_INVALID_ARGUMENT, message);
  }

  void expect_step_refused(const std::string& message, const std::function<void(d4j_step&)>& change) {
    const Arrays arrays;
    d4j_step step = step_of(arrays);
    change(step);
    expect_failure(d4j_session_step(session_->get(), &step), D4J_INVALID_ARGUMENT, message);
  }

  static constexpr int kBlocks = 5;
  const d4j_decoder_spec spec_ = small_decoder();
  std::unique_ptr<LoadedModel> model_;
  std::unique_ptr<Session> session_;
  std::vector<float> logits_;
};

TEST_F(ApiStep, wrongNumbersInEveryArrayAreRefusedAndChangeNothing) {
  const Arrays good;
  const d4j_step step = step_of(good);
  ASSERT_EQ(d4j_session_step(session_->get(), &step), D4J_OK) << d4j_last_error();
  const std::vector<float> before = logits_;

  expect_refused("row 1 has the token 331; the vocabulary has 331", [](Arrays& arrays) { arrays.tokens[1] = 331; });
  expect_refused("row 5 has the token -1", [](Arrays& arrays) { arrays.tokens[5] = -1; });
  expect_refused("row 2 has the position 3; expected 2", [](Arrays& arrays) { arrays.positions[2] = 3; });
  expect_refused("row 0 has the position -1; expected 0", [](Arrays& arrays) { arrays.positions[0] = -1; });
  expect_refused("sequence_starts must run from 0 to 6", [](Arrays& arrays) { arrays.starts[0] = 1; });
  expect_refused("sequence_starts must run from 0 to 6", [](Arrays& arrays) { arrays.starts[3] = 7; });
  expect_refused("sequence 1 has the rows from 3 to before 3", [](Arrays& arrays) { arrays.starts[2] = 3; });
  expect_refused("sequence 0 has the rows from 0 to before -3", [](Arrays& arrays) { arrays.starts[1] = -3; });
  expect_refused("sequence 1 has the rows from 3 to before 1000000",
                 [](Arrays& arrays) { arrays.starts[2] = 1000000; });
  expect_refused("sequence 0: context_lengths must be 3 .. 96, not 2", [](Arrays& arrays) { arrays.contexts[0] = 2; });
  expect_refused("sequence 1: context_lengths must be 2 .. 96, not 97",
                 [](Arrays& arrays) { arrays.contexts[1] = 97; });
  expect_refused("sequence 2: context_lengths must be 1 .. 96, not -10",
                 [](Arrays& arrays) { arrays.contexts[2] = -10; });
  expect_refused("sequence 1 needs 3 blocks for its 33 tokens; its block table has 2", [](Arrays& arrays) {
    arrays.contexts[1] = 33;
    arrays.positions[3] = 31;
    arrays.positions[4] = 32;
  });
  expect_refused("sequence 1 names the block 5; the session has 5", [](Arrays& arrays) { arrays.tables[3] = 5; });
  expect_refused("sequence 2 names the block -1", [](Arrays& arrays) { arrays.tables[4] = -1; });
  expect_refused("logits are wanted of row 6; the step has 6", [](Arrays& arrays) { arrays.wanted[2] = 6; });
  expect_refused("logits are wanted of row -1", [](Arrays& arrays) { arrays.wanted[0] = -1; });

  ASSERT_EQ(d4j_session_step(session_->get(), &step), D4J_OK) << d4j_last_error();
  EXPECT_EQ(logits_, before);
}

TEST_F(ApiStep, wrongCountsAndMissingArraysAreRefused) {
  expect_step_refused("rows must be 1 .. 128, not 0", [](d4j_step& step) { step.rows = 0; });
  expect_step_refused("rows must be 1 .. 128, not 129", [](d4j_step& step) { step.rows = 129; });
  expect_step_refused("sequences must be 1 .. 6, not 0", [](d4j_step& step) { step.sequences = 0; });
  expect_step_refused("sequences must be 1 .. 6, not 7", [](d4j_step& step) { step.sequences = 7; });
  expect_step_refused("block_table_stride", [](d4j_step& step) { step.block_table_stride = 0; });
  expect_step_refused("logits_count must be 0 .. 6, not 7", [](d4j_step& step) { step.logits_count = 7; });
  expect_step_refused("logits_count must be 0 .. 6, not -1", [](d4j_step& step) { step.logits_count = -1; });
  expect_step_refused("tokens is missing", [](d4j_step& step) { step.tokens = nullptr; });
  expect_step_refused("positions is missing", [](d4j_step& step) { step.positions = nullptr; });
  expect_step_refused("sequence_starts is missing", [](d4j_step& step) { step.sequence_starts = nullptr; });
  expect_step_refused("context_lengths is missing", [](d4j_step& step) { step.context_lengths = nullptr; });
  expect_step_refused("block_tables is missing", [](d4j_step& step) { step.block_tables = nullptr; });
  expect_step_refused("logits_rows is missing", [](d4j_step& step) { step.logits_rows = nullptr; });
  expect_step_refused("logits is missing", [](d4j_step& step) { step.logits = nullptr; });
  expect_failure(d4j_session_step(session_->get(), nullptr), D4J_INVALID_ARGUMENT, "step");
}

TEST_F(ApiStep, logitsMayBeWantedOfNoRow) {
  const Arrays arrays;
  d4j_step step = step_of(arrays);
  step.logits_count = 0;
  step.logits_rows = nullptr;
  step.logits = nullptr;
  EXPECT_EQ(d4j_session_step(session_->get(), &step), D4J_OK) << d4j_last_error();
}

TEST_F(ApiStep, copyingABlockThatIsNotThereIsRefused) {
  expect_failure(d4j_session_copy_block(session_->get(), -1, 0), D4J_INVALID_ARGUMENT, "source block");
  expect_failure(d4j_session_copy_block(session_->get(), 5, 0), D4J_INVALID_ARGUMENT, "source block");
  expect_failure(d4j_session_copy_block(session_->get(), 0, -1), D4J_INVALID_ARGUMENT, "target block");
  expect_failure(d4j_session_copy_block(session_->get(), 0, 5), D4J_INVALID_ARGUMENT, "target block");
  EXPECT_EQ(d4j_session_copy_block(session_->get(), 4, 4), D4J_OK);
}

}  // namespace
}  // namespace dolly4j::test
