// A folder for files that nobody sees.
#pragma once

#include <filesystem>

namespace emulsion {

// A folder of its own under $TMPDIR, removed with everything in it at the end. Those of processes
// that were killed are removed by the next one: a lock says which are in use.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace emulsion
