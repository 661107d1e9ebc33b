// A file for one test.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace dolly4j::test {

// Holds the given elements, back to back; deleted at the end of the scope.
class TemporaryFile {
 public:
  template <class Element>
  explicit TemporaryFile(const std::vector<Element>& elements) {
    const char* folder = std::getenv("TMPDIR");
    path_ = std::string(folder == nullptr ? "/tmp" : folder) + "/dolly4j-test-XXXXXX";
    const int file = mkstemp(path_.data());
    std::FILE* stream = file < 0 ? nullptr : fdopen(file, "wb");
    if (stream == nullptr) {
      throw std::runtime_error("cannot create " + path_);
    }
    const std::size_t written =
        elements.empty() ? 0 : std::fwrite(elements.data(), sizeof(Element), elements.size(), stream);
    if (std::fclose(stream) != 0 || written != elements.size()) {
      throw std::runtime_error("cannot write " + path_);
    }
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::remove(path_.c_str()); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace dolly4j::test
