#include "model/packed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "api/error.h"
#include "model/input_file.h"

namespace dolly4j {
namespace {

static_assert(sizeof(PackedFileHead) == 104 && sizeof(PackedFileEntry) == 56, "no padding: all bytes are compared");

constexpr char kMagic[] = "D4JPACK\n";
constexpr std::int64_t kAlignment = 4096;
constexpr std::int64_t kSampleStretch = 4 << 20;
constexpr int kMostThreads = 16;  // that map a file

std::int64_t rounded_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  // An odd factor and a shift that folds down lose nothing, so that different words give different numbers.
  hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
  return hash ^ (hash >> 29);
}

Error bad_file(const std::string& path, const std::string& reason) { return {D4J_BAD_FILE, path + ": " + reason}; }

Error system_error(const std::string& path, const char* what) {
  return bad_file(path, std::string(what) + ": " + std::system_category().message(errno));
}

std::int32_t type_code(const WeightMatrix& matrix) {
  switch (matrix.type) {
    case WeightType::float32:
      return D4J_FLOAT32;
    case WeightType::bfloat16:
      return D4J_BFLOAT16;
    case WeightType::int8:
      return D4J_INT8;
    case WeightType::int4:
      break;
  }
  return D4J_INT4;
}

/// Bytes of head, description and table.
std::int64_t header_bytes(std::size_t description_bytes, std::size_t entries) {
  const auto text = static_cast<std::int64_t>(sizeof(PackedFileHead) + description_bytes);
  return rounded_up(text, 8) + static_cast<std::int64_t>(entries * sizeof(PackedFileEntry));
}

/// Entries with the places of the matrices in the file, without checksums.
std::vector<PackedFileEntry> table_of(const std::vector<SlotMatrix>& matrices, std::size_t description_bytes) {
  std::vector<PackedFileEntry> table;
  std::int64_t end = header_bytes(description_bytes, matrices.size());
  for (const SlotMatrix& placed : matrices) {
    const WeightMatrix& matrix = placed.matrix;
    const std::int64_t offset = rounded_up(end, kAlignment);
    table.push_back({placed.slot, placed.layer, type_code(matrix), matrix.is_packed ? 1 : 0, matrix.rows,
                     matrix.columns, offset, matrix.bytes(), 0});
    end = offset + matrix.bytes();
  }
  return table;
}

/// The only header that a file of this table can have.
std::vector<std::uint8_t> header_of(std::string_view key, std::string_view description,
                                    const std::vector<PackedFileEntry>& table) {
  std::vector<std::uint8_t> header(static_cast<std::size_t>(header_bytes(description.size(), table.size())));
  PackedFileHead head{};
  std::memcpy(head.magic, kMagic, sizeof(head.magic));
  head.version = kPackedVersion;
  head.description_bytes = static_cast<std::uint32_t>(description.size());
  head.header_bytes = header.size();
  head.file_bytes = static_cast<std::uint64_t>(table.back().offset + table.back().bytes);
  key.copy(head.key, sizeof(head.key));
  std::memcpy(header.data(), &head, sizeof(head));
  description.copy(reinterpret_cast<char*>(header.data()) + sizeof(head), description.size());
  const std::size_t table_bytes = table.size() * sizeof(PackedFileEntry);
  std::memcpy(header.data() + header.size() - table_bytes, table.data(), table_bytes);
  head.checksum = checksum_of(header.data(), header.size());
  std::memcpy(header.data(), &head, sizeof(head));
  return header;
}

/// A file that is being written.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path) {
    file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file_ < 0) {
      throw system_error(path_, "cannot be written");
    }
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() { close(file_); }

  void write(std::int64_t offset, const void* data, std::int64_t bytes) const {
    // The disk begins with a piece while the next one is copied.
    constexpr std::int64_t kPieceBytes = 32 << 20;
    const auto* from = static_cast<const std::uint8_t*>(data);
    while (bytes > 0) {
      const ssize_t count = pwrite(file_, from, static_cast<std::size_t>(std::min(bytes, kPieceBytes)), offset);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count <= 0) {
        throw system_error(path_, "cannot be written");
      }
      sync_file_range(file_, offset, count, SYNC_FILE_RANGE_WRITE);
      from += count;
      offset += count;
      bytes -= count;
    }
  }

  void sync() const {
    if (fdatasync(file_) != 0) {
      throw system_error(path_, "cannot be written");
    }
  }

 private:
  const std::string& path_;
  int file_;
};

/// The header of the file, if it is the right one.
std::vector<PackedFileEntry> read_table(const InputFile& file, const std::string& path, std::string_view key,
                                        const std::vector<SlotMatrix>& matrices) {
  PackedFileHead head;
  if (file.size() < static_cast<std::int64_t>(sizeof(head))) {
    throw bad_file(path, "is cut off within its header");
  }
  file.read(0, sizeof(head), &head);
  if (std::memcmp(head.magic, kMagic, sizeof(head.magic)) != 0) {
    throw bad_file(path, "is no file of packed weights");
  }
  if (head.version != kPackedVersion) {
    throw bad_file(path, "holds weights in version " + std::to_string(head.version) +
                             " of the packed layout; this library has version " + std::to_string(kPackedVersion));
  }
  if (std::string_view(head.key, sizeof(head.key)) != key) {
    throw bad_file(path, "holds the weights of another checkpoint or of other options");
  }
  if (head.description_bytes > kMostDescriptionBytes ||
      file.size() < header_bytes(head.description_bytes, matrices.size())) {
    throw bad_file(path, "is damaged or cut off: its header does not fit into it");
  }
  std::vector<PackedFileEntry> table = table_of(matrices, head.description_bytes);
  const std::int64_t file_bytes = table.back().offset + table.back().bytes;
  if (file.size() != file_bytes) {
    throw bad_file(path,
                   "has " + std::to_string(file.size()) + " bytes; expected " + std::to_string(file_bytes) + " bytes");
  }
  std::vector<std::uint8_t> header(static_cast<std::size_t>(header_bytes(head.description_bytes, matrices.size())));
  file.read(0, static_cast<std::int64_t>(header.size()), header.data());
  const std::uint8_t* entry = header.data() + header.size() - matrices.size() * sizeof(PackedFileEntry);
  for (PackedFileEntry& expected : table) {
    std::memcpy(&expected.checksum, entry + offsetof(PackedFileEntry, checksum), sizeof(expected.checksum));
    entry += sizeof(PackedFileEntry);
  }
  const std::string_view description(reinterpret_cast<const char*>(header.data()) + sizeof(head),
                                     head.description_bytes);
  if (header != header_of(key, description, table)) {
    throw bad_file(path, "is damaged: its header is not that of these weights");
  }
  return table;
}

/// Maps the pages of memory of a file, many at a time: touching them one by one takes five times as long. Returns false
/// where they cannot be read, which would end the process when they are touched.
bool make_resident(const AlignedMemory& memory) {
#if defined(MADV_POPULATE_READ)
  constexpr int kPopulateRead = MADV_POPULATE_READ;
#else
  constexpr int kPopulateRead = 22;
#endif
  const std::uintptr_t before =
      reinterpret_cast<std::uintptr_t>(memory.data()) % static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  // Linux before 5.14 does not know it (EINVAL).
  return madvise(static_cast<std::uint8_t*>(memory.data()) - before, memory.bytes() + before, kPopulateRead) == 0 ||
         errno == EINVAL || errno == ENOMEM;
}

/// checksum_of the samples; read(offset, bytes, target) gets one.
template <typename Read>
std::uint64_t samples_checksum(std::int64_t bytes, const Read& read) {
  std::uint8_t sample[kSampleBytes];
  std::uint64_t hash = static_cast<std::uint64_t>(bytes);
  for (const std::int64_t offset : sample_offsets(bytes)) {
    const std::int64_t count = std::min(kSampleBytes, bytes - offset);
    read(offset, count, sample);
    hash = mixed(hash, checksum_of(sample, static_cast<std::size_t>(count)));
  }
  return hash;
}

/// Maps a matrix and makes it resident.
AlignedMemory map_matrix(const InputFile& file, const std::string& path, const PackedFileEntry& entry) {
  AlignedMemory memory =
      AlignedMemory::of_file(file.descriptor(), entry.offset, static_cast<std::size_t>(entry.bytes), "weights");
  file.read_ahead(entry.offset, entry.bytes);
  // Read, not looked at in the mapping, so that a file which cannot be read is an error.
  const std::uint64_t checksum = samples_checksum(
      entry.bytes, [&](std::int64_t at, std::int64_t bytes, void* to) { file.read(entry.offset + at, bytes, to); });
  if (checksum != entry.checksum || !make_resident(memory)) {
    throw bad_file(path, "is damaged: " + std::string(slot_name(static_cast<d4j_slot>(entry.slot))) + " of layer " +
                             std::to_string(entry.layer));
  }
  return memory;
}

/// Calls task() on so many threads, or on as many as the system gives.
template <typename Task>
void run_on_threads(int threads, const Task& task) {
  std::vector<std::thread> others;
  try {
    while (static_cast<int>(others.size()) < threads - 1) {
      others.emplace_back(task);
    }
  } catch (const std::system_error&) {
  }
  task();
  for (std::thread& other : others) {
    other.join();
  }
}

}  // namespace

std::uint64_t checksum_of(const void* data, std::size_t bytes) {
  const auto* from = static_cast<const std::uint8_t*>(data);
  std::uint64_t hash = bytes;
  std::uint64_t word = 0;
  for (; bytes >= sizeof(word); from += sizeof(word), bytes -= sizeof(word)) {
    std::memcpy(&word, from, sizeof(word));
    hash = mixed(hash, word);
  }
  word = 0;
  if (bytes > 0) {
    std::memcpy(&word, from, bytes);
  }
  return mixed(hash, word);
}

std::vector<std::int64_t> sample_offsets(std::int64_t bytes) {
  std::vector<std::int64_t> offsets{0};
  for (std::int64_t stretch = 0; stretch + kSampleStretch <= bytes; stretch += kSampleStretch) {
    // Another place in every stretch, so that no regular pattern of what is lost can miss them all.
    const std::uint64_t place = mixed(0, static_cast<std::uint64_t>(stretch) + 1) % (kSampleStretch / kSampleBytes);
    offsets.push_back(stretch + static_cast<std::int64_t>(place) * kSampleBytes);
  }
  offsets.push_back(std::max<std::int64_t>(bytes - kSampleBytes, 0));
  return offsets;
}

void write_packed_file(const std::string& path, std::string_view key, std::string_view description,
                       const std::vector<SlotMatrix>& matrices, const Weights& weights) {
  const OutputFile file(path);
  std::vector<PackedFileEntry> table = table_of(matrices, description.size());
  for (PackedFileEntry& entry : table) {
    const void* data = weights.find(static_cast<d4j_slot>(entry.slot), entry.layer)->data.data();
    file.write(entry.offset, data, entry.bytes);
    entry.checksum = samples_checksum(entry.bytes, [&](std::int64_t offset, std::int64_t bytes, void* sample) {
      std::memcpy(sample, static_cast<const std::uint8_t*>(data) + offset, static_cast<std::size_t>(bytes));
    });
  }
  const std::vector<std::uint8_t> header = header_of(key, description, table);
  file.write(0, header.data(), static_cast<std::int64_t>(header.size()));
  file.sync();
}

void map_packed_file(const std::string& path, std::string_view key, const std::vector<SlotMatrix>& matrices,
                     int threads, const std::function<void(std::size_t, AlignedMemory)>& take) {
  const InputFile file(path);
  if (!file.only_owner_writes()) {
    throw bad_file(path, "can be changed by others than this user");
  }
  const std::vector<PackedFileEntry> table = read_table(file, path, key, matrices);
  // Not on the pool, which a model that runs beside this needs: a file that is not in the page cache takes its time.
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  run_on_threads(std::min(threads, kMostThreads), [&] {
    for (std::size_t i = next++; i < table.size(); i = next++) {
      try {
        take(i, map_matrix(file, path, table[i]));
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        failure = std::current_exception();
        next = table.size();
      }
    }
  });
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace dolly4j
