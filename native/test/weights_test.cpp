#include "model/weights.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>

#include "api/error.h"
#include "cpu/bfloat16.h"
#include "cpu/float16.h"
#include "decoder_cases.h"
#include "random.h"
#include "temporary_file.h"

namespace dolly4j::test {
namespace {

// A tensor of a file as d4j_rows; all of it goes to the first rows of the slot unless told otherwise.
struct Source {
  Source(const std::string& path, d4j_slot slot, std::int64_t rows, std::int64_t columns, d4j_dtype dtype)
      : runs{0, 0, static_cast<std::int32_t>(rows)} {
    value.name = "weight";
    value.path = path.c_str();
    value.rows = rows;
    value.columns = columns;
    value.row_stride = columns;
    value.column_stride = 1;
    value.dtype = dtype;
    value.slot = slot;
  }

  const d4j_rows& get() {
    value.run_count = static_cast<std::int32_t>(runs.size() / 3);
    value.runs = runs.data();
    return value;
  }

  d4j_rows value{};
  std::vector<std::int32_t> runs;
};

// A slot of that shape and a decoder that has it: its embedding, or the feed-forward's second matrix if it is wide.
struct Slot {
  d4j_slot slot;
  d4j_decoder_spec spec;
};

// A decoder whose embedding is [rows, columns].
d4j_decoder_spec with_embedding(int rows, int columns) {
  d4j_decoder_spec spec = small_decoder();
  spec.layers = 1;
  spec.vocab_size = rows;
  spec.heads = 1;
  spec.head_size = columns;
  spec.hidden_size = columns;
  spec.ffn_size = 1;
  spec.rotary_dims = 0;
  return spec;
}

Slot slot_of(int rows, int columns) {
  if (columns <= rows) {
    return {D4J_EMBEDDING, with_embedding(rows, columns)};
  }
  d4j_decoder_spec spec = with_embedding(1, rows);
  spec.ffn_size = columns;
  return {D4J_FC2_WEIGHT, spec};
}

template <class Element>
std::vector<Element> elements_of(const Weights& weights, d4j_slot slot) {
  const WeightMatrix* matrix = weights.find(slot);
  EXPECT_EQ(matrix->row_bytes(), matrix->columns * static_cast<std::int64_t>(sizeof(Element)));
  std::vector<Element> elements(matrix->rows * matrix->columns);
  std::memcpy(elements.data(), matrix->data.data(), elements.size() * sizeof(Element));
  return elements;
}

std::vector<std::uint16_t> bits_of(const std::vector<bfloat16>& numbers) {
  std::vector<std::uint16_t> bits;
  for (const bfloat16 number : numbers) {
    bits.push_back(number.bits);
  }
  return bits;
}

// Loads elements as an embedding of one row, in the compute type, and returns the row.
template <class Target, class Element>
std::vector<Target> converted(const std::vector<Element>& elements, d4j_dtype dtype, d4j_dtype compute_type) {
  const TemporaryFile file(elements);
  const auto columns = static_cast<int>(elements.size());
  Weights weights(with_embedding(1, columns), compute_type, WeightLayout::row_major);
  Source source(file.path(), D4J_EMBEDDING, 1, columns, dtype);
  weights.load(source.get());
  return elements_of<Target>(weights, D4J_EMBEDDING);
}

TEST(WeightsConversion, float16ToFloat32IsExact) {
  const std::vector<std::uint16_t> halves{0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x83ff, 0x3555};
  const std::vector<float> expected{0.0F,     -0.0F,    1.0F,        -2.0F,          65504.0F,
                                    0x1p-14F, 0x1p-24F, -0x3ffp-24F, 0.333251953125F};
  EXPECT_EQ(converted<float>(halves, D4J_FLOAT16, D4J_FLOAT32), expected);
}

TEST(WeightsConversion, bfloat16ToFloat32IsExact) {
  const std::vector<std::uint16_t> numbers{0x3f80, 0xbfc0, 0x0001, 0x7f7f, 0x8000};
  const std::vector<float> expected{1.0F, -1.5F, 0x1p-133F, 0x1.fep127F, -0.0F};
  EXPECT_EQ(converted<float>(numbers, D4J_BFLOAT16, D4J_FLOAT32), expected);
}

TEST(WeightsConversion, float32AndBfloat16KeepTheirBitsInTheirOwnType) {
  const std::vector<float> floats{1.0F, -0.0F, 0x1p-149F, 3.4028234e38F, 0x1.fffffep-3F};
  EXPECT_EQ(converted<float>(floats, D4J_FLOAT32, D4J_FLOAT32), floats);
  const std::vector<std::uint16_t> numbers{0x3f80, 0xbfc0, 0x0001, 0x7f7f, 0x8000};
  EXPECT_EQ(bits_of(converted<bfloat16>(numbers, D4J_BFLOAT16, D4J_BFLOAT16)), numbers);
}

TEST(WeightsConversion, float32ToBfloat16RoundsToNearestEven) {
  // The middle between 1 and its neighbour, just above it, and the middle above that neighbour.
  const std::vector<float> floats{0x1.01p0F, 0x1.010002p0F, 0x1.03p0F, -0x1.01p0F, 0x1.fep0F, 0x1.ffp0F};
  const std::vector<std::uint16_t> expected{0x3f80, 0x3f81, 0x3f82, 0xbf80, 0x3fff, 0x4000};
  EXPECT_EQ(bits_of(converted<bfloat16>(floats, D4J_FLOAT32, D4J_BFLOAT16)), expected);
}

TEST(WeightsConversion, float16ToBfloat16RoundsToNearestEvenOnce) {
  // 1 + 4/1024 is the middle between two bfloat16 numbers, 1 + 5/1024 above it; 2^-24 is a denormal of float16 only.
  const std::vector<std::uint16_t> halves{0x3c04, 0x3c05, 0x3c0c, 0xbc04, 0x0001, 0x7bff};
  const std::vector<std::uint16_t> expected{0x3f80, 0x3f81, 0x3f82, 0xbf80, 0x3380, 0x4780};
  EXPECT_EQ(bits_of(converted<bfloat16>(halves, D4J_FLOAT16, D4J_BFLOAT16)), expected);
}

TEST(WeightsConversion, normsStayInFloat32) {
  const std::vector<float> gammas(60, 0x1.010101p0F);
  const TemporaryFile file(gammas);
  Weights weights(small_decoder(), D4J_BFLOAT16, WeightLayout::row_major);
  Source source(file.path(), D4J_FINAL_NORM_WEIGHT, 60, 1, D4J_FLOAT32);
  weights.load(source.get());
  EXPECT_EQ(elements_of<float>(weights, D4J_FINAL_NORM_WEIGHT), gammas);
}

// How a tensor [rows, columns] lies in a file, in elements.
struct Layout {
  const char* name;
  int rows;
  int columns;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

class WeightsLayout : public testing::TestWithParam<Layout> {};

TEST_P(WeightsLayout, elementsAreFoundByTheirStrides) {
  const Layout& layout = GetParam();
  constexpr std::int64_t kBefore = 3;  // elements of another tensor
  const std::int64_t count =
      kBefore + (layout.rows - 1) * layout.row_stride + (layout.columns - 1) * layout.column_stride + 1;
  const std::vector<float> file_elements = Random(1).normals(count);
  const TemporaryFile file(file_elements);
  const Slot slot = slot_of(layout.rows, layout.columns);
  Weights weights(slot.spec, D4J_FLOAT32, WeightLayout::row_major);
  Source source(file.path(), slot.slot, layout.rows, layout.columns, D4J_FLOAT32);
  source.value.offset = kBefore * 4;
  source.value.row_stride = layout.row_stride;
  source.value.column_stride = layout.column_stride;
  weights.load(source.get());
  const std::vector<float> actual = elements_of<float>(weights, slot.slot);
  for (std::int64_t r = 0; r < layout.rows; r++) {
    for (std::int64_t c = 0; c < layout.columns; c++) {
      ASSERT_EQ(actual[r * layout.columns + c],
                file_elements[kBefore + r * layout.row_stride + c * layout.column_stride])
          << "row " << r << ", column " << c;
    }
  }
}

// Some larger than what is read at once, by rows and by columns, with small gaps and with large ones.
INSTANTIATE_TEST_SUITE_P(
    Of, WeightsLayout,
    testing::Values(Layout{"denseRows", 5, 7, 7, 1}, Layout{"aMegabyteOfRows", 1030, 301, 301, 1},
                    Layout{"aRowOverAMegabyte", 2, 300000, 300000, 1}, Layout{"slicedRows", 900, 300, 307, 1},
                    Layout{"rowsFarApart", 50, 30, 5000, 1}, Layout{"everySecondColumn", 700, 300, 600, 2},
                    Layout{"transposed", 301, 1030, 1, 301}, Layout{"transposedSlice", 40, 60, 1, 3000},
                    Layout{"transposedWithColumnsOverAMegabyte", 300000, 2, 1, 300000},
                    Layout{"oneRowForAll", 9, 11, 0, 1}, Layout{"oneColumnForAll", 9, 11, 1, 0},
                    Layout{"oneElementForAll", 9, 11, 0, 0}, Layout{"oneColumn", 9, 1, 4, 100}),
    [](const testing::TestParamInfo<Layout>& layout) { return layout.param.name; });

// By how much the largest memory of this process grows while `body` runs.
std::int64_t grown_kilobytes(const std::function<void()>& body) {
  struct rusage before{};
  struct rusage after{};
  getrusage(RUSAGE_SELF, &before);
  body();
  getrusage(RUSAGE_SELF, &after);
  return after.ru_maxrss - before.ru_maxrss;
}

TEST(WeightsLayouts, farApartInBothDirectionsAreNotReadTogether) {
  // Elements of a file of up to 2.4 GB of which six are stored.
  constexpr std::int64_t kNear = std::int64_t{1} << 26;
  constexpr std::int64_t kFar = 4 * kNear;
  for (const bool by_columns : {false, true}) {
    const TemporaryFile file(std::vector<float>{});
    Source source(file.path(), D4J_FC2_WEIGHT, 2, 3, D4J_FLOAT32);
    source.value.row_stride = by_columns ? kNear : kFar;
    source.value.column_stride = by_columns ? kFar : kNear;
    const int handle = open(file.path().c_str(), O_WRONLY);
    std::vector<float> expected;
    for (int r = 0; r < 2; r++) {
      for (int c = 0; c < 3; c++) {
        const auto number = static_cast<float>(10 * r + c);
        const std::int64_t element = r * source.value.row_stride + c * source.value.column_stride;
        ASSERT_EQ(pwrite(handle, &number, sizeof number, 4 * element), 4);
        expected.push_back(number);
      }
    }
    close(handle);
    Weights weights(slot_of(2, 3).spec, D4J_FLOAT32, WeightLayout::row_major);
    EXPECT_LT(grown_kilobytes([&] { weights.load(source.get()); }), 64 << 10);
    EXPECT_EQ(elements_of<float>(weights, D4J_FC2_WEIGHT), expected);
  }
}

TEST(WeightsRuns, interleavedRowsOfHeadsBecomeQueriesKeysAndValues) {
  // GPT-NeoX: [head, Q | K | V, head size]; the slot wants [Q | K | V, head, head size].
  const d4j_decoder_spec spec = small_decoder();
  const std::int64_t hidden = spec.hidden_size;
  const std::vector<float> fused = Random(1).normals(3 * hidden * hidden);
  const TemporaryFile file(fused);
  Source source(file.path(), D4J_QKV_WEIGHT, 3 * hidden, hidden, D4J_FLOAT32);
  source.runs.clear();
  for (int head = 0; head < spec.heads; head++) {
    for (int part = 0; part < 3; part++) {
      source.runs.insert(source.runs.end(), {(head * 3 + part) * spec.head_size,
                                             part * spec.hidden_size + head * spec.head_size, spec.head_size});
    }
  }
  Weights weights(spec, D4J_FLOAT32, WeightLayout::row_major);
  weights.load(source.get());
  const std::vector<float> qkv = elements_of<float>(weights, D4J_QKV_WEIGHT);
  for (int part = 0; part < 3; part++) {
    for (int head = 0; head < spec.heads; head++) {
      for (int i = 0; i < spec.head_size; i++) {
        const std::int64_t from = (std::int64_t{head} * 3 + part) * spec.head_size + i;
        const std::int64_t to = std::int64_t{part} * hidden + std::int64_t{head} * spec.head_size + i;
        ASSERT_TRUE(
            std::equal(qkv.begin() + to * hidden, qkv.begin() + (to + 1) * hidden, fused.begin() + from * hidden))
            << "part " << part << ", head " << head << ", row " << i;
      }
    }
  }
}

TEST(WeightsRuns, rowsOfATensorThatNoRunNamesAreNotRead) {
  std::vector<float> elements(6 * 4, 1);
  elements[2 * 4] = std::nanf("");
  const TemporaryFile file(elements);
  Weights weights(with_embedding(5, 4), D4J_FLOAT32, WeightLayout::row_major);
  Source source(file.path(), D4J_EMBEDDING, 6, 4, D4J_FLOAT32);
  source.runs = {0, 3, 2, 3, 0, 3};
  weights.load(source.get());
  EXPECT_EQ(elements_of<float>(weights, D4J_EMBEDDING), std::vector<float>(5 * 4, 1));
}

void expect_error(Weights& weights, Source& source, d4j_status status, const std::string& message) {
  try {
    weights.load(source.get());
    FAIL() << "expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), status);
    EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
  }
}

TEST(WeightsFailures, rowsThatFailedMayBeLoadedAgain) {
  const std::vector<float> good(5 * 4, 1);
  std::vector<float> bad = good;
  bad[4 * 4] = std::numeric_limits<float>::infinity();
  const TemporaryFile good_file(good);
  const TemporaryFile bad_file(bad);
  Weights weights(with_embedding(5, 4), D4J_FLOAT32, WeightLayout::row_major);
  Source damaged(bad_file.path(), D4J_EMBEDDING, 5, 4, D4J_FLOAT32);
  expect_error(weights, damaged, D4J_BAD_FILE, "row 4");
  Source twice(good_file.path(), D4J_EMBEDDING, 5, 4, D4J_FLOAT32);
  twice.runs = {0, 0, 3, 0, 2, 2};
  expect_error(weights, twice, D4J_INVALID_ARGUMENT, "row 2 of embedding is loaded twice");
  Source whole(good_file.path(), D4J_EMBEDDING, 5, 4, D4J_FLOAT32);
  weights.load(whole.get());
  EXPECT_EQ(elements_of<float>(weights, D4J_EMBEDDING), good);
  expect_error(weights, whole, D4J_INVALID_ARGUMENT, "row 0 of embedding is loaded twice");
}

TEST(WeightsFailures, aNumberBeyondBfloat16IsRefusedByABfloat16DecoderOnly) {
  const TemporaryFile file(std::vector<float>(5 * 4, 3.4e38F));
  Source source(file.path(), D4J_EMBEDDING, 5, 4, D4J_FLOAT32);
  Weights narrow(with_embedding(5, 4), D4J_BFLOAT16, WeightLayout::row_major);
  expect_error(narrow, source, D4J_BAD_FILE, "too large in row 0");
  Weights wide(with_embedding(5, 4), D4J_FLOAT32, WeightLayout::row_major);
  wide.load(source.get());
}

// The norm of the feed-forward of a decoder in int8, all 1 in the file, as it is after the norm and fc1 [rows, columns]
// were observed by these runs: 1 / factors.
std::vector<float> observed_norm(const std::vector<float>& fc1, int columns,
                                 const std::vector<std::int32_t>& runs = {}) {
  const auto rows = static_cast<int>(fc1.size()) / columns;
  const std::vector<float> ones(static_cast<std::size_t>(columns), 1.0F);
  const TemporaryFile norm_file(ones);
  const TemporaryFile fc1_file(fc1);
  d4j_decoder_spec spec = with_embedding(1, columns);
  spec.ffn_size = rows;
  Weights weights(spec, D4J_INT8, WeightLayout::packed);
  Source norm(norm_file.path(), D4J_FFN_NORM_WEIGHT, columns, 1, D4J_FLOAT32);
  weights.observe(norm.get());
  Source source(fc1_file.path(), D4J_FC1_WEIGHT, rows, columns, D4J_FLOAT32);
  if (!runs.empty()) {
    source.runs = runs;
  }
  weights.observe(source.get());
  weights.load(norm.get());
  return elements_of<float>(weights, D4J_FFN_NORM_WEIGHT);
}

TEST(WeightsObserve, readsBlocksEvenlyOverAMatrix) {
  constexpr int kRows = 8192 + 20;
  constexpr int kColumns = 8;
  for (const int row : {0, 15, 512, 8191, 8192 + 3, 16, 511, 528, 8192 + 19}) {
    std::vector<float> fc1(kRows * kColumns, 0.5F);
    fc1[row * kColumns + 3] = -128;
    std::vector<float> expected(kColumns, 1.0F);
    expected[3] = row % 512 < 16 ? 16.0F : 1.0F;
    EXPECT_EQ(observed_norm(fc1, kColumns), expected) << row;
  }
}

TEST(WeightsObserve, readsAllOfASmallMatrixWhateverItsRuns) {
  constexpr int kRows = 331;
  constexpr int kColumns = 20;
  std::vector<float> fc1 = Random(4).normals(kRows * kColumns);
  for (std::size_t i = 0; i < fc1.size(); i++) {
    fc1[i] *= static_cast<float>(1 + i % kColumns);
  }
  const std::vector<float> expected = observed_norm(fc1, kColumns);
  EXPECT_NE(expected, std::vector<float>(kColumns, 1.0F));
  std::vector<std::int32_t> runs;
  for (int row = kRows; row > 0;) {
    const int count = std::min(row, 37);
    row -= count;
    runs.insert(runs.end(), {row, row, count});
  }
  EXPECT_EQ(observed_norm(fc1, kColumns, runs), expected);
}

TEST(WeightsObserve, isRefusedOnceRowsBehindTheNormAreLoadedAndForDamagedFiles) {
  const auto observe_error = [](Weights& weights, Source& source) {
    try {
      weights.observe(source.get());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const TemporaryFile file(std::vector<float>(3 * 8 * 8, 1.0F));
  Weights weights(with_embedding(5, 8), D4J_INT4, WeightLayout::packed);
  Source qkv(file.path(), D4J_QKV_WEIGHT, 3 * 8, 8, D4J_FLOAT32);
  Source norm(file.path(), D4J_ATTENTION_NORM_WEIGHT, 8, 1, D4J_FLOAT32);
  const TemporaryFile bad_file(std::vector<float>(3 * 8 * 8, std::nanf("")));
  Source damaged(bad_file.path(), D4J_QKV_WEIGHT, 3 * 8, 8, D4J_FLOAT32);
  EXPECT_NE(observe_error(weights, damaged).find("holds NaN"), std::string::npos);
  EXPECT_EQ(observe_error(weights, qkv), "");
  weights.load(qkv.get());
  EXPECT_NE(observe_error(weights, norm).find("after rows of its norm"), std::string::npos);
}

TEST(WeightsThreads, partsOfASlotLoadedByManyThreadsAreComplete) {
  constexpr int kThreads = 8;
  constexpr int kRows = 64 * kThreads;
  constexpr int kColumns = 50;
  const std::vector<float> elements = Random(1).normals(kRows * kColumns);
  const TemporaryFile file(elements);
  Weights weights(with_embedding(kRows, kColumns), D4J_FLOAT32, WeightLayout::row_major);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (int row = t; row < kRows; row += kThreads) {
        Source source(file.path(), D4J_EMBEDDING, kRows, kColumns, D4J_FLOAT32);
        source.runs = {row, row, 1};
        weights.load(source.get());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(elements_of<float>(weights, D4J_EMBEDDING), elements);
  try {
    weights.check_complete();
    FAIL() << "the other slots are empty";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("embedding"), std::string::npos) << error.what();
  }
}

TEST(WeightsThreads, ofTwoThreadsThatLoadTheSameRowsOneFails) {
  constexpr int kRows = 2000;
  const std::vector<float> elements = Random(1).normals(kRows * 50);
  const TemporaryFile file(elements);
  for (int attempt = 0; attempt < 10; attempt++) {
    Weights weights(with_embedding(kRows, 50), D4J_FLOAT32, WeightLayout::row_major);
    std::atomic<int> failures{0};
    const auto load = [&] {
      Source source(file.path(), D4J_EMBEDDING, kRows, 50, D4J_FLOAT32);
      try {
        weights.load(source.get());
      } catch (const Error&) {
        failures++;
      }
    };
    std::thread other(load);
    load();
    other.join();
    EXPECT_EQ(failures, 1);
    EXPECT_EQ(elements_of<float>(weights, D4J_EMBEDDING), elements);
  }
}

}  // namespace
}  // namespace dolly4j::test
