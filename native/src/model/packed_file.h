// A file of packed weights, mapped as it is: what a model's weights become is read back by a later process without
// reading or converting the checkpoint, and shared by all processes that map it.
//
//   head         magic, kPackedVersion, sizes, checksum, key (PackedFileHead)
//   description  text of whoever saved it
//   table        an entry for every matrix of the decoder, by slot and layer (PackedFileEntry), from a multiple of 8 on
//   matrices     in the order of the table, each from a multiple of 4096 on
//
// Numbers are little-endian; gaps are 0. Nothing of a file is believed: what head and table must be follows from the
// decoder, and a file whose bytes differ is refused before it is mapped.
//
// A file in use must never be changed or cut off in place, since touching a mapped page that is gone ends the process
// with SIGBUS. So whoever makes one writes it under another name and renames it, and it ends by being unlinked, which
// leaves it to those who have it mapped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/aligned_memory.h"
#include "model/weights.h"

namespace dolly4j {

constexpr std::int64_t kSampleBytes = 4096;
constexpr std::size_t kPackedKeyLength = D4J_PACKED_KEY_LENGTH;
constexpr std::size_t kMostDescriptionBytes = 1 << 16;

struct PackedFileHead {
  char magic[8];
  std::uint32_t version;  // kPackedVersion
  std::uint32_t description_bytes;
  std::uint64_t header_bytes;  // of head, description and table
  std::uint64_t file_bytes;
  std::uint64_t checksum;      // of the header, with this as 0
  char key[kPackedKeyLength];  // what the weights were made of
};

struct PackedFileEntry {
  std::int32_t slot;
  std::int32_t layer;
  std::int32_t type;
  std::int32_t packed;  // 0 or 1
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t offset;  // in the file
  std::int64_t bytes;
  std::uint64_t checksum;  // checksum_of the samples of the matrix, one after the other
};

/// A number in which every byte has a part: any change of up to 8 bytes that lie in one word changes it.
std::uint64_t checksum_of(const void* data, std::size_t bytes);

/// Where 4 KiB of some data, or all if they are fewer, are looked at so that gigabytes take milliseconds: at the
/// start, at the end, and somewhere in every 4 MiB. Finds what a lost or torn write leaves, not every flipped bit.
std::vector<std::int64_t> sample_offsets(std::int64_t bytes);

/// Writes the file and waits until it is on the disk. `matrices` are those of weight_matrices for these weights, of
/// which all rows are loaded. Throws D4J_BAD_FILE with the system's reason.
void write_packed_file(const std::string& path, std::string_view key, std::string_view description,
                       const std::vector<SlotMatrix>& matrices, const Weights& weights);

/// Maps the memory of these matrices, resident where the file is in the page cache and read from disk where not, and
/// calls take(i, memory) once it has that of matrix i, on several threads in any order. Throws D4J_BAD_FILE with the
/// reason if there is no such file, if others than this user and root can change it, or if it is not exactly what
/// write_packed_file writes for the key and the matrices; some may be taken then, each of which is as it should be.
void map_packed_file(const std::string& path, std::string_view key, const std::vector<SlotMatrix>& matrices,
                     int threads, const std::function<void(std::size_t, AlignedMemory)>& take);

}  // namespace dolly4j
