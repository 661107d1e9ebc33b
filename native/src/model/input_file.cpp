#include "model/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "api/error.h"

namespace dolly4j {

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // O_NONBLOCK: opening a named pipe would wait for its writer. Regular files know no difference.
  file_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) {
    throw Error(D4J_BAD_FILE, path_ + ": cannot open: " + std::system_category().message(errno));
  }
  struct stat info{};
  if (fstat(file_, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(file_);
    throw Error(D4J_BAD_FILE, path_ + ": not a regular file");
  }
  size_ = info.st_size;
  only_owner_writes_ =
      (info.st_uid == geteuid() || info.st_uid == 0) && (info.st_mode & static_cast<mode_t>(S_IWGRP | S_IWOTH)) == 0;
}

InputFile::~InputFile() { close(file_); }

void InputFile::read_ahead(std::int64_t offset, std::int64_t length) const {
  posix_fadvise(file_, offset, length, POSIX_FADV_WILLNEED);
}

void InputFile::read(std::int64_t offset, std::int64_t length, void* target) const {
  auto* to = static_cast<std::uint8_t*>(target);
  while (length > 0) {
    const ssize_t count = pread(file_, to, static_cast<std::size_t>(length), offset);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw Error(D4J_BAD_FILE, path_ + ": cannot read: " + std::system_category().message(errno));
    }
    if (count == 0) {
      throw Error(D4J_BAD_FILE, path_ + ": ends at byte " + std::to_string(offset) + ", " + std::to_string(length) +
                                    " bytes early; it was shortened while it was read");
    }
    to += count;
    offset += count;
    length -= count;
  }
}

}  // namespace dolly4j
