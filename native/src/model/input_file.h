// A file read by position. What is not ours is not mapped: a file that another process shortens while it is read then
// gives an error, where a mapping would end the process with SIGBUS.
#pragma once

#include <cstdint>
#include <string>

namespace dolly4j {

class InputFile {
 public:
  /// Throws D4J_BAD_FILE with the system's reason.
  explicit InputFile(std::string path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  std::int64_t size() const { return size_; }

  /// Whether no one but this user and root can change the file.
  bool only_owner_writes() const { return only_owner_writes_; }

  int descriptor() const { return file_; }

  /// Lets the system read bytes [offset, offset + length) into the page cache beside what this thread does.
  void read_ahead(std::int64_t offset, std::int64_t length) const;

  /// Reads bytes [offset, offset + length). Throws D4J_BAD_FILE if the file has no such bytes. Thread-safe.
  void read(std::int64_t offset, std::int64_t length, void* target) const;

 private:
  std::string path_;
  int file_ = -1;
  std::int64_t size_ = 0;
  bool only_owner_writes_ = false;
};

}  // namespace dolly4j
