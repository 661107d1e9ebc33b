// Files of packed weights: what is saved is mapped bit for bit, and what is not exactly that is refused.
#include "model/packed_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <thread>

#include "api/error.h"
#include "fnv.h"
#include "loaded_model.h"
#include "ops/packed_linear.h"
#include "random.h"

namespace dolly4j::test {
namespace {

const std::string kKey(D4J_PACKED_KEY_LENGTH, 'a');
const std::string kOtherKey(D4J_PACKED_KEY_LENGTH, 'b');
const std::string kDescription = R"({"model":"/models/dolly"})";

d4j_model_options kernels(d4j_dtype type) { return {D4J_BACKEND_KERNELS, type, DecoderTypes(type).kv, -1, 2, 0}; }

using Bytes = std::vector<std::uint8_t>;

Bytes read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file of its own each time: no one changes one that may be mapped.
class Copy {
 public:
  explicit Copy(const Bytes& bytes) : file_(bytes) {}

  d4j_status map(const d4j_decoder_spec& spec, const d4j_model_options& options, const std::string& key = kKey) const {
    d4j_model* model = nullptr;
    const d4j_status status = d4j_model_map(&spec, &options, file_.path().c_str(), key.c_str(), &model);
    EXPECT_EQ(model != nullptr, status == D4J_OK);
    d4j_model_free(model);
    return status;
  }

  const std::string& path() const { return file_.path(); }

 private:
  TemporaryFile file_;
};

std::vector<float> logits_of(const LoadedModel& model, const d4j_decoder_spec& spec) {
  const Session session(model);
  const OwnedStep step(spec, {{{0, 1, 2}, 0, random_tokens(spec, 21, 2)}, {{5}, 0, random_tokens(spec, 1, 3)}});
  session.run(step.step());
  return step.logits();
}

std::unique_ptr<LoadedModel> mapped(const d4j_decoder_spec& spec, const d4j_model_options& options,
                                    const std::string& path) {
  d4j_model* model = nullptr;
  check(d4j_model_map(&spec, &options, path.c_str(), kKey.c_str(), &model));
  return std::make_unique<LoadedModel>(model);
}

// A decoder and the file that it was saved to.
struct Saved {
  explicit Saved(const d4j_decoder_spec& decoder = small_decoder(), d4j_dtype type = D4J_BFLOAT16)
      : spec(decoder),
        options(kernels(type)),
        model(spec, options, random_decoder_weights(spec, 5), [&](d4j_model* loaded) {
          check(d4j_model_save(loaded, file.path().c_str(), kKey.c_str(), kDescription.c_str()));
        }) {}

  const TemporaryFile file{std::vector<char>{}};
  d4j_decoder_spec spec;
  d4j_model_options options;
  LoadedModel model;  // over the mapped file
};

// ---- what is right ----

TEST(PackedFile, mappedModelsHaveTheBitsOfTheLoadedOne) {
  for (const DecoderShape& shape : decoder_shapes()) {
    const LoadedModel loaded(shape.spec, kernels(shape.types.weights), random_decoder_weights(shape.spec, 5));
    const std::vector<float> expected = logits_of(loaded, shape.spec);
    const Saved saved(shape.spec, shape.types.weights);
    EXPECT_EQ(logits_of(saved.model, shape.spec), expected) << describe(shape) << ", the one that was saved";
    EXPECT_EQ(logits_of(*mapped(shape.spec, saved.options, saved.file.path()), shape.spec), expected)
        << describe(shape);
  }
}

// Numbers that no library function takes part in, some channels far larger than others.
DecoderWeights fixed_weights(const d4j_decoder_spec& spec) {
  DecoderWeights weights = random_decoder_weights(spec, 5);
  Random random(6);
  for (auto& [place, values] : weights) {
    const bool is_norm = slot_shape(spec, place.first).kind == SlotKind::norm;
    for (std::size_t i = 0; i < values.size(); i++) {
      const bool is_outlier = is_norm && i % 13 == 7;
      values[i] = (static_cast<float>(random.uniform()) - 0.25F) * (is_outlier ? 11.0F : 1.0F);
    }
  }
  return weights;
}

// With the factors that columns are evened out by.
TEST(PackedFile, quantisedWeightsHaveTheBytesThatTheirVersionHasAlwaysHad) {
  constexpr std::uint32_t kVersion = 3;
  ASSERT_EQ(kPackedVersion, kVersion) << "packed weights have a new version: put it and its hashes here";
  const d4j_decoder_spec spec = small_decoder();
  for (const auto& [type, hash] : {std::pair{D4J_INT8, std::uint64_t{0x80b429abd9f2c71aU}},
                                   std::pair{D4J_INT4, std::uint64_t{0x2bf6c7ab46465955U}}}) {
    const TemporaryFile file{std::vector<char>{}};
    const LoadedModel model(spec, kernels(type), fixed_weights(spec),
                            [&](d4j_model* loaded) {
                              check(d4j_model_save(loaded, file.path().c_str(), kKey.c_str(), kDescription.c_str()));
                            },
                            {d4j_model_observe_rows, d4j_model_load_rows});
    const Bytes bytes = read(file.path());
    EXPECT_EQ(fnv1a(bytes.data(), bytes.size()), hash)
        << "What files hold of a quantised model has changed. Raise kPackedVersion (ops/packed_linear.h), else those "
        << "written before are taken for the same; then put the hash 0x" << std::hex
        << fnv1a(bytes.data(), bytes.size()) << " here.";
  }
}

TEST(PackedFile, sizeIsThatOfTheWeightsAndALittle) {
  const Saved saved;
  d4j_memory memory{};
  ASSERT_EQ(d4j_model_memory(saved.model.get(), &memory), D4J_OK);
  const auto bytes = static_cast<std::int64_t>(read(saved.file.path()).size());
  EXPECT_GT(bytes, memory.weight_bytes);
  EXPECT_LT(bytes, memory.weight_bytes + 4096 * 40);
  EXPECT_GT(memory.available_bytes, 0);
}

TEST(PackedFile, mappedByManyAtOnceIsTheSameForAll) {
  const Saved saved;
  const std::vector<float> expected = logits_of(saved.model, saved.spec);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> answers(8);
  for (std::vector<float>& answer : answers) {
    threads.emplace_back(
        [&] { answer = logits_of(*mapped(saved.spec, saved.options, saved.file.path()), saved.spec); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const std::vector<float>& answer : answers) {
    EXPECT_EQ(answer, expected);
  }
}

TEST(PackedFile, aMappedModelOutlivesItsFile) {
  const Saved saved;
  const std::vector<float> expected = logits_of(saved.model, saved.spec);
  const Copy copy(read(saved.file.path()));
  const std::unique_ptr<LoadedModel> model = mapped(saved.spec, saved.options, copy.path());
  const Copy other(Bytes(read(copy.path()).size(), 7));
  ASSERT_EQ(std::rename(other.path().c_str(), copy.path().c_str()), 0);
  EXPECT_EQ(logits_of(*model, saved.spec), expected);
  ASSERT_EQ(unlink(copy.path().c_str()), 0);
  EXPECT_EQ(logits_of(*model, saved.spec), expected);
}

TEST(PackedFile, optionsThatChangeNoWeightMapTheSameFile) {
  const Saved saved;
  d4j_model_options options = saved.options;
  options.portable_bits = 1;
  options.threads = 1;
  EXPECT_EQ(Copy(read(saved.file.path())).map(saved.spec, options), D4J_OK) << d4j_last_error();
}

// ---- what is not ----

TEST(PackedFile, everyFlippedByteOfTheHeaderIsRefused) {
  const Saved saved;
  const Bytes good = read(saved.file.path());
  PackedFileHead head;
  std::memcpy(&head, good.data(), sizeof(head));
  for (std::size_t i = 0; i < head.header_bytes; i++) {
    Bytes bytes = good;
    bytes[i] ^= static_cast<std::uint8_t>(1 << i % 8);
    ASSERT_EQ(Copy(bytes).map(saved.spec, saved.options), D4J_BAD_FILE) << "byte " << i;
  }
  EXPECT_EQ(Copy(good).map(saved.spec, saved.options), D4J_OK) << d4j_last_error();
}

std::vector<PackedFileEntry> table_of(const Bytes& file) {
  PackedFileHead head;
  std::memcpy(&head, file.data(), sizeof(head));
  const std::size_t start = (sizeof(head) + head.description_bytes + 7) / 8 * 8;
  std::vector<PackedFileEntry> table((head.header_bytes - start) / sizeof(PackedFileEntry));
  std::memcpy(table.data(), file.data() + start, table.size() * sizeof(PackedFileEntry));
  return table;
}

TEST(PackedFile, flippedBytesOfSamplesOfEveryMatrixAreRefusedByName) {
  const Saved saved;
  const Bytes good = read(saved.file.path());
  Random random(1);
  for (const PackedFileEntry& entry : table_of(good)) {
    const std::vector<std::int64_t> samples = sample_offsets(entry.bytes);
    for (int i = 0; i < 10; i++) {
      const std::int64_t sample = samples[random.below(static_cast<int>(samples.size()))];
      const auto within = static_cast<int>(std::min(kSampleBytes, entry.bytes - sample));
      Bytes bytes = good;
      bytes[entry.offset + sample + random.below(within)] ^= static_cast<std::uint8_t>(1 << random.below(8));
      const Copy copy(bytes);
      ASSERT_EQ(copy.map(saved.spec, saved.options), D4J_BAD_FILE);
      const std::string name = slot_name(static_cast<d4j_slot>(entry.slot));
      expect_failure(D4J_BAD_FILE, D4J_BAD_FILE,
                     copy.path() + ": is damaged: " + name + " of layer " + std::to_string(entry.layer));
    }
  }
}

TEST(PackedFile, aFileOfAnyOtherLengthIsRefused) {
  const Saved saved;
  const Bytes good = read(saved.file.path());
  std::vector<std::size_t> lengths = {0, 1, 103, 104, good.size() - 1, good.size() + 1, good.size() + 4096};
  for (std::size_t length = 500; length < good.size(); length += 4999) {
    lengths.push_back(length);
  }
  for (const std::size_t length : lengths) {
    Bytes bytes = good;
    bytes.resize(length);
    ASSERT_EQ(Copy(bytes).map(saved.spec, saved.options), D4J_BAD_FILE) << length;
  }
}

// With a checksum that fits again, as someone who means harm would make it.
void forge(Bytes& file) {
  PackedFileHead head;
  std::memcpy(&head, file.data(), sizeof(head));
  head.checksum = 0;
  std::memcpy(file.data(), &head, sizeof(head));
  head.checksum = checksum_of(file.data(), std::min<std::size_t>(head.header_bytes, file.size()));
  std::memcpy(file.data(), &head, sizeof(head));
}

TEST(PackedFile, anotherVersionIsRefusedWithBoth) {
  const Saved saved;
  Bytes bytes = read(saved.file.path());
  PackedFileHead head;
  std::memcpy(&head, bytes.data(), sizeof(head));
  head.version = kPackedVersion + 1;
  std::memcpy(bytes.data(), &head, sizeof(head));
  forge(bytes);
  const std::string version = std::to_string(kPackedVersion);
  expect_failure(Copy(bytes).map(saved.spec, saved.options), D4J_BAD_FILE, "this library has version " + version);
}

TEST(PackedFile, anotherKeyTypeOrDecoderIsRefused) {
  const Saved saved;
  const Copy copy(read(saved.file.path()));
  expect_failure(copy.map(saved.spec, saved.options, kOtherKey), D4J_BAD_FILE, "another checkpoint");
  EXPECT_EQ(copy.map(saved.spec, kernels(D4J_FLOAT32)), D4J_BAD_FILE);
  const std::vector<std::function<void(d4j_decoder_spec&)>> changes = {[](auto& spec) { spec.layers++; },
                                                                       [](auto& spec) { spec.layers--; },
                                                                       [](auto& spec) { spec.vocab_size++; },
                                                                       [](auto& spec) { spec.ffn_size -= 10; },
                                                                       [](auto& spec) { spec.shared_norm = 1; },
                                                                       [](auto& spec) { spec.attention_bias = 0; },
                                                                       [](auto& spec) { spec.ffn_bias = 0; },
                                                                       [](auto& spec) { spec.head_bias = 1; },
                                                                       [](auto& spec) {
                                                                         spec.hidden_size += 20;
                                                                         spec.heads++;
                                                                       }};
  for (std::size_t i = 0; i < changes.size(); i++) {
    d4j_decoder_spec spec = saved.spec;
    changes[i](spec);
    EXPECT_EQ(copy.map(spec, saved.options), D4J_BAD_FILE) << "change " << i;
  }
}

TEST(PackedFile, forgedHeadersNeverDoHarm) {
  const Saved saved;
  const Bytes good = read(saved.file.path());
  PackedFileHead head;
  std::memcpy(&head, good.data(), sizeof(head));
  // Only the description may be another, and then the checksum is.
  const auto same_weights = [&](Bytes bytes) {
    if (bytes.size() == good.size()) {
      std::copy_n(good.begin() + sizeof(head), head.description_bytes, bytes.begin() + sizeof(head));
      std::memcpy(bytes.data() + offsetof(PackedFileHead, checksum), &head.checksum, sizeof(head.checksum));
    }
    return bytes == good;
  };
  Random random(2);
  int accepted = 0;
  for (int round = 0; round < 4000; round++) {
    Bytes bytes = good;
    for (int change = random.below(4); change >= 0; change--) {
      // Half of them in the head; numbers that are small, large, negative or random.
      const int limit = random.below(2) == 0 ? static_cast<int>(sizeof(head)) : static_cast<int>(head.header_bytes);
      const int at = random.below(limit);
      const int count = std::min(1 << random.below(4), static_cast<int>(head.header_bytes) - at);
      const int kind = random.below(4);
      for (int i = 0; i < count; i++) {
        bytes[at + i] = static_cast<std::uint8_t>(kind == 0 ? 0 : kind == 1 ? 255 : random.below(256));
      }
    }
    if (random.below(4) == 0) {
      bytes.resize(random.below(static_cast<int>(good.size())));
      bytes.resize(std::max(bytes.size(), sizeof(head)));
    }
    forge(bytes);
    const d4j_status expected = same_weights(bytes) ? D4J_OK : D4J_BAD_FILE;
    ASSERT_EQ(Copy(bytes).map(saved.spec, saved.options), expected) << "round " << round << ": " << d4j_last_error();
    accepted += expected == D4J_OK ? 1 : 0;
  }
  EXPECT_GT(accepted, 0);
}

TEST(PackedFile, filesThatOthersCanChangeAreRefused) {
  const Saved saved;
  const Copy copy(read(saved.file.path()));
  for (const mode_t mode : {0620U, 0602U, 0666U}) {
    ASSERT_EQ(chmod(copy.path().c_str(), mode), 0);
    expect_failure(copy.map(saved.spec, saved.options), D4J_BAD_FILE, "by others than this user");
  }
  ASSERT_EQ(chmod(copy.path().c_str(), 0444), 0);
  EXPECT_EQ(copy.map(saved.spec, saved.options), D4J_OK) << d4j_last_error();
}

TEST(PackedFile, whatIsNoFileIsRefusedWithTheReason) {
  const Saved saved;
  d4j_model* model = nullptr;
  const auto map = [&](const char* path) {
    return d4j_model_map(&saved.spec, &saved.options, path, kKey.c_str(), &model);
  };
  expect_failure(map("/nowhere/weights"), D4J_BAD_FILE, "No such file");
  expect_failure(map("/tmp"), D4J_BAD_FILE, "not a regular file");
  expect_failure(map("/dev/zero"), D4J_BAD_FILE, "not a regular file");
}

TEST(PackedFile, brokenRulesAreRefused) {
  const Saved saved;
  const std::string path = saved.file.path();
  d4j_model* model = nullptr;
  const auto map = [&](const d4j_model_options& options, const char* key) {
    return d4j_model_map(&saved.spec, &options, path.c_str(), key, &model);
  };
  expect_failure(map(saved.options, "short"), D4J_INVALID_ARGUMENT, "key must have 64 characters");
  expect_failure(map({D4J_BACKEND_LIBTORCH, D4J_BFLOAT16, D4J_BFLOAT16, -1, 1, 0}, kKey.c_str()), D4J_INVALID_ARGUMENT,
                 "kernels");
  expect_failure(map({D4J_BACKEND_KERNELS, D4J_BFLOAT16, D4J_BFLOAT16, -1, 0, 0}, kKey.c_str()), D4J_INVALID_ARGUMENT,
                 "threads");
  expect_failure(map(saved.options, nullptr), D4J_INVALID_ARGUMENT, "key");
  expect_failure(d4j_model_map(&saved.spec, &saved.options, nullptr, kKey.c_str(), &model), D4J_INVALID_ARGUMENT,
                 "path");
  expect_failure(d4j_model_save(saved.model.get(), "/tmp/x", kKey.c_str(), ""), D4J_INVALID_ARGUMENT, "finished");
  expect_failure(d4j_model_save(nullptr, "/tmp/x", kKey.c_str(), ""), D4J_INVALID_ARGUMENT, "model");
  ASSERT_EQ(d4j_model_create(&saved.spec, &saved.options, &model), D4J_OK);
  expect_failure(d4j_model_save(model, "/tmp/x", kKey.c_str(), ""), D4J_INVALID_ARGUMENT, "lacks 331 of its 331 rows");
  expect_failure(d4j_model_save(model, "/tmp/x", "short", ""), D4J_INVALID_ARGUMENT, "key must have 64 characters");
  expect_failure(d4j_model_save(model, "/tmp/x", kKey.c_str(), std::string(70000, 'x').c_str()), D4J_INVALID_ARGUMENT,
                 "description");
  d4j_model_free(model);
}

TEST(PackedFile, rowsOfAMappedModelAreLoadedAlready) {
  const Saved saved;
  d4j_model* model = nullptr;
  ASSERT_EQ(d4j_model_map(&saved.spec, &saved.options, saved.file.path().c_str(), kKey.c_str(), &model), D4J_OK);
  const TemporaryFile numbers(std::vector<float>(60, 1));
  const std::int32_t run[3] = {0, 0, 60};
  d4j_rows rows{};
  rows.name = "final_norm";
  rows.path = numbers.path().c_str();
  rows.rows = 60;
  rows.columns = 1;
  rows.row_stride = 1;
  rows.column_stride = 1;
  rows.dtype = D4J_FLOAT32;
  rows.slot = D4J_FINAL_NORM_WEIGHT;
  rows.run_count = 1;
  rows.runs = run;
  expect_failure(d4j_model_load_rows(model, &rows), D4J_INVALID_ARGUMENT, "is loaded twice");
  EXPECT_EQ(d4j_model_finish(model), D4J_OK) << d4j_last_error();
  d4j_model_free(model);
}

TEST(PackedFile, weightsInThePageCacheAreNoMemoryThatMustBeThere) {
  const Saved saved;
  d4j_model* model = nullptr;
  ASSERT_EQ(d4j_model_map(&saved.spec, &saved.options, saved.file.path().c_str(), kKey.c_str(), &model), D4J_OK);
  expect_failure(d4j_model_check_memory(model, 1 << 26), D4J_OUT_OF_MEMORY, "needs 670.0 GB for its KV cache, but");
  d4j_model_free(model);
}

TEST(PackedFile, aModelThatCannotBeSavedGoesOn) {
  const d4j_decoder_spec spec = small_decoder();
  const d4j_model_options options = kernels(D4J_BFLOAT16);
  const DecoderWeights weights = random_decoder_weights(spec, 5);
  const LoadedModel model(spec, options, weights, [&](d4j_model* loaded) {
    const auto save = [&](const char* path) { return d4j_model_save(loaded, path, kKey.c_str(), ""); };
    expect_failure(save("/nowhere/weights"), D4J_BAD_FILE, "/nowhere/weights: cannot be written: No such file");
    expect_failure(save("/dev/full"), D4J_BAD_FILE, "/dev/full: cannot be written: No space left on device");
  });
  EXPECT_EQ(logits_of(model, spec), logits_of(LoadedModel(spec, options, weights), spec));
}

TEST(PackedFile, aModelIsSavedOnce) {
  const TemporaryFile file{std::vector<char>{}};
  const d4j_decoder_spec spec = small_decoder();
  const LoadedModel model(spec, kernels(D4J_INT8), random_decoder_weights(spec, 5), [&](d4j_model* loaded) {
    check(d4j_model_save(loaded, file.path().c_str(), kKey.c_str(), ""));
    expect_failure(d4j_model_save(loaded, file.path().c_str(), kKey.c_str(), ""), D4J_INVALID_ARGUMENT,
                   "mapped from a file already");
  });
}

TEST(PackedFile, whatIsTakenBeforeAMappingFailsIsAsItShouldBe) {
  const Saved saved(small_decoder(), D4J_INT4);
  const std::vector<SlotMatrix> matrices = weight_matrices(saved.spec, D4J_INT4, WeightLayout::packed);
  std::vector<AlignedMemory> expected(matrices.size());
  map_packed_file(saved.file.path(), kKey, matrices, 1,
                  [&](std::size_t i, AlignedMemory memory) { expected[i] = std::move(memory); });
  for (const int threads : {1, 3}) {
    std::vector<AlignedMemory> taken(matrices.size());
    EXPECT_THROW(map_packed_file(saved.file.path(), kKey, matrices, threads,
                                 [&](std::size_t i, AlignedMemory memory) {
                                   if (i == matrices.size() / 2) {
                                     throw Error(D4J_OUT_OF_MEMORY, "no memory");
                                   }
                                   taken[i] = std::move(memory);
                                 }),
                 Error);
    EXPECT_NE(taken[0].data(), nullptr);
    EXPECT_EQ(taken[matrices.size() / 2].data(), nullptr);
    for (std::size_t i = 0; i < matrices.size(); i++) {
      if (taken[i].data() != nullptr) {
        ASSERT_EQ(taken[i].bytes(), expected[i].bytes());
        EXPECT_EQ(std::memcmp(taken[i].data(), expected[i].data(), expected[i].bytes()), 0) << i;
      }
    }
  }
}

// ---- samples ----

TEST(PackedFileSamples, lieWithinTheDataAndInEveryStretch) {
  constexpr std::int64_t kStretch = 4 << 20;
  for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{4095}, std::int64_t{4096}, std::int64_t{4097},
                                   kStretch - 1, kStretch, kStretch + 1, 100 * kStretch + 12345}) {
    const std::vector<std::int64_t> offsets = sample_offsets(bytes);
    EXPECT_EQ(offsets.front(), 0);
    EXPECT_EQ(offsets.back(), std::max<std::int64_t>(bytes - kSampleBytes, 0));
    ASSERT_EQ(static_cast<std::int64_t>(offsets.size()), 2 + bytes / kStretch);
    for (std::size_t i = 1; i + 1 < offsets.size(); i++) {
      EXPECT_EQ(offsets[i] / kStretch, static_cast<std::int64_t>(i - 1));
      EXPECT_EQ((offsets[i] + kSampleBytes - 1) / kStretch, static_cast<std::int64_t>(i - 1));
    }
  }
}

TEST(PackedFileSamples, everyByteHasAPartInTheChecksum) {
  for (std::size_t bytes = 0; bytes < 40; bytes++) {
    Bytes data(bytes);
    std::iota(data.begin(), data.end(), std::uint8_t{1});
    const std::uint64_t whole = checksum_of(data.data(), bytes);
    for (std::size_t i = 0; i < bytes; i++) {
      data[i] ^= 64;
      EXPECT_NE(checksum_of(data.data(), bytes), whole) << bytes << ", " << i;
      data[i] ^= 64;
    }
    data.push_back(0);
    EXPECT_NE(checksum_of(data.data(), bytes + 1), whole);
  }
}

}  // namespace
}  // namespace dolly4j::test
