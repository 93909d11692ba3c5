// A file in memory, for code that reads or writes files by path: no name or folder of this machine
// reaches what it makes.
#pragma once

#include <string>

namespace emulsion {

class MemoryFile {
  public:
    // `name` is seen by debuggers only.
    explicit MemoryFile(const std::string& name, const std::string& bytes = "");
    ~MemoryFile();
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    // Opens the file, in this process.
    std::string path() const;
    int descriptor() const { return file_; }
    // All that was written, by whomever.
    std::string read() const;

  private:
    int file_;
};

}  // namespace emulsion
